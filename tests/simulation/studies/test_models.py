from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from dermafed.simulation.studies.models import analyse, model_metrics, models_plot
from tests.simulation.studies.finished import finished

TESTS = {
    "east": [(f"e{n}", "melanoma") for n in range(10)] + [(f"f{n}", "nevus") for n in range(10)],
    "west": [(f"w{n}", "melanoma") for n in range(5)] + [(f"x{n}", "nevus") for n in range(15)],
}
LETTERS = ["M" * 6 + "N" * 4 + "N" * 10, "M" * 5 + "N" * 15]


def found(lines: list[dict[str, Any]], tests: str, metric: str) -> dict[str, Any]:
    (line,) = [line for line in lines if (line["tests"], line["figure"]) == (tests, metric)]
    return line


def test_metrics_of_every_test_and_class(tmp_path: Path) -> None:
    lines = model_metrics([finished(tmp_path, "a", 0, TESTS, {"federated": LETTERS})], resamples=2000)
    means = {(line["tests"], line["figure"]): line["mean"] for line in lines}
    assert means["east", "sensitivity of melanoma"] == pytest.approx(0.6)
    assert means["all", "sensitivity of melanoma"] == pytest.approx(11 / 15)
    assert means["mean over clinics", "sensitivity of melanoma"] == pytest.approx(0.8)
    assert means["all", "sensitivity of nevus"] == 1
    assert means["all", "balanced_accuracy"] == pytest.approx((11 / 15 + 1) / 2)


def test_the_interval_is_of_the_found_melanomas_drawn_again(tmp_path: Path) -> None:
    """Six of ten are found: Binomial(10, 0.6) of the drawn ones are."""
    lines = model_metrics([finished(tmp_path, "a", 0, TESTS, {"federated": LETTERS})], resamples=4000)
    line = found(lines, "east", "sensitivity of melanoma")
    expected = tuple(binom.ppf(share, 10, 0.6) / 10 for share in (0.025, 0.975))
    assert (line["low"], line["high"]) == pytest.approx(expected)


def test_seeds_that_differ_widen_it(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path, "a", seed, {"one": TESTS["east"]}, {"federated": [predicted]})
        for seed, predicted in enumerate(("M" * 10 + "N" * 10, "N" * 20))
    ]
    line = found(model_metrics(runs, resamples=400), "all", "sensitivity of melanoma")
    assert line["values"] == [1, 0]
    assert (line["mean"], line["low"], line["high"]) == pytest.approx((0.5, 0, 1))


def test_a_class_that_was_never_found_has_no_interval(tmp_path: Path) -> None:
    (run,) = [finished(tmp_path, "a", 0, {"one": TESTS["east"]}, {"federated": ["N" * 20]})]
    line = found(model_metrics([run], resamples=50), "all", "sensitivity of melanoma")
    assert (line["mean"], line["low"], line["high"], line["seeds"]) == (0, None, None, 1)


def test_few_lesions_have_no_interval(tmp_path: Path) -> None:
    few = TESTS | {"west": TESTS["west"][1:]}  # four melanomas
    letters = [LETTERS[0], LETTERS[1][1:]]
    lines = model_metrics([finished(tmp_path, "a", 0, few, {"federated": letters})], resamples=50)
    with_interval = {line["tests"] for line in lines if line["low"] is not None}
    assert with_interval == {"east", "all"}
    assert found(lines, "mean over clinics", "sensitivity of melanoma")["mean"] == pytest.approx(0.8)


def test_tables_are_written(tmp_path: Path) -> None:
    analyse([finished(tmp_path, "a", 0, TESTS, {"federated": LETTERS})], tmp_path)
    text = (tmp_path / "models.md").read_text("utf-8")
    assert text.index("On all (rarest class of a test: 15 lesions)") < text.index(
        "On mean over clinics (rarest class of a test: 5 lesions)"
    )
    assert "| Row | Trained | Balanced accuracy | AUC | Sensitivity of melanoma |" in text
    head = (tmp_path / "models.csv").read_text("utf-8").splitlines()[0]
    assert head == "row,arm,tests,figure,seeds,mean,low,high,fewest,values"


def test_every_model_has_a_row_and_every_metric_a_panel(tmp_path: Path) -> None:
    lines = analyse([finished(tmp_path, "a", 0, TESTS, {"federated": LETTERS, "pooled": LETTERS})], tmp_path)
    plot = (tmp_path / "models.svg").read_text("utf-8")
    for name in ("a, federated", "a, pooled", "AUC, all tests", "balanced accuracy, mean over clinics"):
        assert f">{name}</text>" in plot
    assert models_plot(lines) == (tmp_path / "models.svg").read_bytes()
