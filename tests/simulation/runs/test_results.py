from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.metrics.challenge_csv import PREDICTIONS_FILE, TRUTH_FILE
from dermafed.simulation.runs.results import TestImages as Images
from dermafed.simulation.runs.results import arm_result, local_result

CLASSES = ("melanoma", "nevus")


def clinic(name: str, labels: str) -> ClinicSplit:
    """A clinic whose test images have these labels, by their first letters."""
    names = {"m": "melanoma", "n": "nevus"}
    records = (LesionRecord(f"{name}{at}", Path(name), names[label]) for at, label in enumerate(labels))
    return ClinicSplit(name, Splits((), (), tuple(records)))


def answers(letters: str) -> np.ndarray:
    return np.array([[0.9, 0.1] if letter == "m" else [0.1, 0.9] for letter in letters], np.float32)


@pytest.fixture
def tests() -> Images:
    return Images([clinic("a/b", "mmnn"), clinic("c", "mnnnnn")], [Path("a%2Fb"), Path("c")], CLASSES)


def test_clinics_test_images_are_pooled_not_averaged(tests: Images) -> None:
    found = arm_result(tests, {"a%2Fb": answers("mmnn"), "c": answers("nnnnnn")})
    # Melanoma: 2 of 2 at the one, 0 of 1 at the other; nevus: all of 2 and of 5.
    assert found["clinics"]["a/b"]["balanced_accuracy"] == 1
    assert found["clinics"]["c"]["balanced_accuracy"] == 0.5
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["accuracy"] == pytest.approx(9 / 10)
    assert found["mean_over_clinics"]["balanced_accuracy"] == 0.75
    assert found["test"]["confusion"] == [[2, 1], [0, 7]]


def test_a_clinics_own_model_is_tested_on_every_test_and_on_its_own(tests: Images) -> None:
    found = local_result(
        tests,
        {
            "a%2Fb": {"a%2Fb": answers("mmnn"), "c": answers("nnnnnn")},
            "c": {"a%2Fb": answers("nnnn"), "c": answers("mnnnnn")},
        },
    )
    assert found["clinics"]["a/b"]["balanced_accuracy"] == found["clinics"]["c"]["balanced_accuracy"] == 1
    on_all = {name: metrics["balanced_accuracy"] for name, metrics in found["models"].items()}
    assert on_all == pytest.approx({"a/b": (2 / 3 + 1) / 2, "c": (1 / 3 + 1) / 2})
    assert found["balanced_accuracy"] == pytest.approx(0.75)
    # Each model's mean over the two clinics' tests: (1 + 0.5) / 2 and (0.5 + 1) / 2.
    assert found["mean_over_clinics"]["balanced_accuracy"] == 0.75


def test_the_challenges_files_have_the_test_images_of_all_clinics(tests: Images, tmp_path: Path) -> None:
    predictions = {"a%2Fb": answers("mmnn"), "c": answers("nnnnnn")}
    tests.write_challenge_files(tmp_path, predictions)
    found, truth = (
        pd.read_csv(tmp_path / name, index_col="image") for name in (PREDICTIONS_FILE, TRUTH_FILE)
    )
    assert list(truth.index) == [f"a/b{at}" for at in range(4)] + [f"c{at}" for at in range(6)]
    assert list(truth.idxmax(axis=1)) == [{"m": "melanoma", "n": "nevus"}[name] for name in "mmnnmnnnnn"]
    assert list(found["melanoma"]) == pytest.approx([0.9] * 2 + [0.1] * 8)
    hits = found.idxmax(axis=1) == truth.idxmax(axis=1)
    assert hits.mean() == arm_result(tests, predictions)["accuracy"]


def test_the_order_of_labels_and_scores_is_that_of_the_clinics(tests: Images) -> None:
    labels, scores = tests.roc_input({"c": answers("mnnnnn"), "a%2Fb": answers("mmnn")})
    assert labels.tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 1, 1]
    assert scores.argmax(axis=1).tolist() == labels.tolist()
