from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

from dermafed.simulation.studies.pairs import ACCURACY, analyse, compare
from tests.simulation.studies.finished import finished

TESTS = {
    "east": [(f"e{n}", "melanoma") for n in range(10)] + [(f"f{n}", "nevus") for n in range(10)],
    "west": [(f"w{n}", "melanoma") for n in range(5)] + [(f"x{n}", "nevus") for n in range(15)],
}
GOOD = ["M" * 9 + "N" + "N" * 10, "M" * 5 + "N" * 15]
POOR = ["M" * 4 + "N" * 6 + "N" * 10, "M" * 5 + "N" * 15]


def found(lines: list[dict], tests: str, metric: str = "balanced_accuracy") -> dict:
    (line,) = [line for line in lines if (line["tests"], line["figure"]) == (tests, metric)]
    return line


def test_a_difference_is_the_mean_over_the_seeds(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path, row, seed, TESTS, {"federated": letters})
        for row, by_seed in {"a": (GOOD, GOOD), "b": (POOR, GOOD)}.items()
        for seed, letters in enumerate(by_seed)
    ]
    lines = compare(runs, resamples=200)
    assert {line["tests"] for line in lines} == {"east", "west", "all", "mean over clinics"}
    east = found(lines, "east")
    assert (east["a"], east["b"]) == ("a, federated", "b, federated")
    # Of ten melanomas nine against four are found by the first seed, none more by the second.
    assert east["values"] == pytest.approx([0.25, 0])
    assert east["difference"] == pytest.approx(0.125)
    assert found(lines, "west")["difference"] == 0
    assert found(lines, "west")["p"] == 1
    assert found(lines, "mean over clinics")["difference"] == pytest.approx(0.0625)
    # Of all 15 melanomas 14 against 9.
    assert found(lines, "all")["values"] == pytest.approx([5 / 15 / 2, 0])


def test_the_resampled_difference_is_a_binomial(tmp_path: Path) -> None:
    """Five of ten melanomas are found by one model alone: Binomial(10, 0.5) of them are drawn."""
    runs = [
        finished(tmp_path, row, 0, {"one": TESTS["east"]}, {"federated": [predicted]})
        for row, predicted in (("a", "M" * 9 + "N" * 11), ("b", "M" * 4 + "N" * 16))
    ]
    lines = compare(runs, resamples=4000)
    line = found(lines, "all")
    assert {line["tests"] for line in lines} == {"all"}, "one clinic is all clinics"
    assert line["difference"] == pytest.approx(0.25)
    # Binomial(10, 0.5): 2.5 % points 2 and 8; P(0) = 1 / 1024, where the difference is not above zero.
    assert (line["low"], line["high"]) == pytest.approx((0.1, 0.4))
    assert line["p"] == pytest.approx(2 / 1024, abs=0.0015)
    assert found(lines, "all", ACCURACY)["p"] == pytest.approx(2 / 2**5)


def test_seeds_are_drawn_too(tmp_path: Path) -> None:
    """Two seeds that differ by chance only: one better by a half, the other worse; nothing is certain."""
    runs = [
        finished(tmp_path, row, seed, {"one": TESTS["east"]}, {"federated": [predicted]})
        for row, letters in (("a", ("M" * 20, "M" * 10 + "N" * 10)), ("b", ("M" * 10 + "N" * 10, "M" * 20)))
        for seed, predicted in enumerate(letters)
    ]
    line = found(compare(runs, resamples=400), "all")
    assert line["values"] == pytest.approx([-0.5, 0.5])
    # Two drawn seeds vary by half as much as two trainings: the square root of 2 makes up for it.
    assert (line["low"], line["high"]) == pytest.approx((-(0.5**0.5), 0.5**0.5))


def test_several_images_of_a_lesion_count_once_in_accuracy(tmp_path: Path) -> None:
    tests = {"one": [("same", "melanoma")] * 9 + [("other", "melanoma"), ("mole", "nevus")]}
    runs = [
        finished(tmp_path, row, 0, tests, {"federated": [predicted]})
        for row, predicted in (("a", "M" * 10 + "N"), ("b", "N" * 9 + "MN"))
    ]
    line = found(compare(runs, resamples=50), "all", ACCURACY)
    assert line["difference"] == pytest.approx(1 / 3)
    assert line["p"] == 1


def test_the_clinics_own_models_are_one_and_the_mean_of_all(tmp_path: Path) -> None:
    # east's own model finds all at home and no melanoma in the west; west's the other way round.
    east, west = "M" * 10 + "N" * 10, "M" * 5 + "N" * 15
    none = "N" * 20
    predictions = {"federated": [none, none], "local-east": [east, none], "local-west": [none, west]}
    lines = compare([finished(tmp_path, "a", 0, TESTS, predictions)], resamples=50)
    against = {line["b"]: line for line in lines if line["tests"] == "all" and line["a"] == "a, federated"}
    mean = next(line for line in lines if (line["b"], line["tests"]) == ("a, local", "mean over clinics"))
    assert mean["difference"] == pytest.approx(0.5 - (1 + 0.5) / 2)
    own = [line for line in lines if (line["a"], line["b"]) == ("a, federated", "a, own")]
    assert found(own, "mean over clinics")["difference"] == pytest.approx(0.5 - 1)
    # On all images together, differences between the clinics' models would count as skill.
    assert set(against) == {"a, local"}


def test_only_models_with_the_same_test_images_are_compared(tmp_path: Path) -> None:
    fewer = {"one": TESTS["east"][1:]}
    runs = [
        finished(tmp_path, "a", 0, {"one": TESTS["east"]}, {"federated": ["M" * 20]}),
        finished(tmp_path, "b", 0, fewer, {"federated": ["M" * 19]}),
        finished(tmp_path, "c", 1, fewer, {"federated": ["M" * 19]}),
    ]
    assert compare(runs, resamples=10) == []


def test_holm_is_over_all_pairs_of_a_metric(tmp_path: Path) -> None:
    letters = ("M" * 10 + "N" * 10, "M" * 5 + "N" * 15, "M" * 1 + "N" * 19)
    tests = {"one": TESTS["east"]}
    runs = [finished(tmp_path, str(n), 0, tests, {"federated": [w]}) for n, w in enumerate(letters)]
    lines = [line for line in compare(runs, resamples=1000) if line["figure"] == "balanced_accuracy"]
    assert len(lines) == 3
    smallest = min(lines, key=lambda line: line["p"])
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p"])
    assert max(line["p_holm"] for line in lines) >= max(line["p"] for line in lines)


def test_rows_of_fewer_seeds_are_a_family_of_their_own(tmp_path: Path) -> None:
    letters = {"a": GOOD, "b": POOR, "c": POOR}
    runs = [
        finished(tmp_path, row, seed, TESTS, {"federated": letters[row]})
        for row, seed in (("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 0))
    ]
    lines = [line for line in compare(runs, resamples=200) if line["figure"] == "auc"]
    main = found([line for line in lines if line["seeds"] == 2], "all", "auc")
    assert main["p_holm"] == main["p"]


def test_few_lesions_have_no_p_value_and_no_interval(tmp_path: Path) -> None:
    few = TESTS | {"west": TESTS["west"][1:]}  # four melanomas
    letters = [(predicted[0], predicted[1][1:]) for predicted in (GOOD, POOR)]
    runs = [
        finished(tmp_path, row, 0, few, {"federated": own}) for row, own in zip("ab", letters, strict=True)
    ]
    lines = compare(runs, resamples=50)
    tests = ("east", "west", "all", "mean over clinics")
    assert [found(lines, own)["p"] is None for own in tests] == [False, True, False, True]
    assert found(lines, "west")["p_holm"] is None
    assert [found(lines, own)["low"] is None for own in tests] == [False, True, False, True]


def test_the_tables_have_every_line(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path / "runs", row, seed, TESTS, {"federated": GOOD if row == "a" else POOR})
        for row, seed in itertools.product("ab", range(2))
    ]
    lines = analyse(runs, tmp_path)
    with (tmp_path / "pairs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["difference"]) for row in rows] == [line["difference"] for line in lines]
    assert rows[0]["values"] == "0.250000 0.250000"
    text = (tmp_path / "pairs.md").read_text("utf-8")
    assert "| a, federated | b, federated | 2 | +0.125 |" in text
    assert np.isfinite([line["p_holm"] for line in lines]).all()
