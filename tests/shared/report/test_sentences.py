from __future__ import annotations

from typing import Any

import pytest

from dermafed.shared.report.sentences import duration, headline, number, setting, spaced, verdict


def answer(federated: float, local: float | None, pooled: float | None, clinics: int = 3) -> dict[str, Any]:
    interval = {"low": federated - 0.05, "high": federated + 0.05}
    return {
        "clinics": [{}] * clinics,
        "classes": ["melanoma", "nevus", "seborrheic_keratosis"],
        "settings": {"data": "ham10000"},
        "federated": {
            "balanced_accuracy": federated,
            "test": {"images": 200, "absent": [], "intervals": {"balanced_accuracy": interval}},
        },
        "local": None if local is None else {"balanced_accuracy": local},
        "pooled": None if pooled is None else {"balanced_accuracy": pooled},
    }


def test_headline_compares_with_all_that_was_run_and_with_guessing() -> None:
    assert headline(answer(0.93, 0.71, 0.94)) == (
        "The federation of three clinics reaches 0.93 balanced accuracy, compared with 0.33 by guessing, "
        "0.71 by the clinics' own models on average and 0.94 by training on all images pooled, which clinics "
        "may not do."
    )


def test_headline_says_first_that_images_are_synthetic() -> None:
    drawn = answer(0.93, None, None, clinics=1) | {"settings": {"data": "synthetic"}}
    assert headline(drawn) == (
        "On synthetic images, the federation of one clinic reaches 0.93 balanced accuracy, compared with "
        "0.33 by guessing."
    )


def test_guessing_is_over_the_classes_that_the_test_has() -> None:
    result = answer(0.93, None, None, clinics=40)
    result["federated"]["test"]["absent"] = ["nevus"]
    assert "federation of 40 clinics" in headline(result)
    assert "0.50 by guessing" in headline(result)


def test_verdict_counts_points() -> None:
    assert (
        verdict(answer(0.93, 0.71, 0.94))
        == "That is 22 points more than working alone and 1 point short of pooling."
    )
    assert verdict(answer(0.60, 0.70, 0.55)).startswith(
        "That is 10 points less than working alone and 5 points above pooling."
    )


def test_verdict_warns_when_it_may_be_chance() -> None:
    sentence = verdict(answer(0.73, 0.70, None))
    assert "With 200 test images that difference may be chance" in sentence
    assert "0.68 to 0.78" in sentence


def test_no_verdict_without_local_models() -> None:
    assert verdict(answer(0.93, None, 0.94)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(44.6, "45 s"), (59.7, "1 min 0 s"), (345, "5 min 45 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_values_for_the_reader() -> None:
    assert (number(0.98765), number(None)) == ("0.988", "–")
    assert setting(["a", None, True, 0.5]) == "a, –, yes, 0.5"
    assert spaced("seborrheic_keratosis") == "seborrheic keratosis"
