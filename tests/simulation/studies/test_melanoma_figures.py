"""Figures of melanoma: by hand, by scikit-learn, and on resamples by repeating the drawn images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score, roc_auc_score, roc_curve

from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.simulation.runs.melanoma_results import ArmPredictions, ClinicsLesions
from dermafed.simulation.studies.drawn_tests import DrawnTests
from dermafed.simulation.studies.melanoma_figures import (
    ALERT_SENSITIVITY,
    ALERT_SPECIFICITY,
    ARGMAX_SENSITIVITY,
    AUC,
    BALANCED_ACCURACY,
    BIOPSIES,
    CALIBRATION_ERROR,
    PARTIAL_AUC,
    WITHIN,
    WORST,
    Figures,
    melanoma_figures,
)
from dermafed.simulation.studies.resampled_metrics import ALL
from tests.simulation.studies.melanoma_runs import images, two_classes

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
SIZES = {"a": 150, "b": 120, "c": 20}


def lesions_of(*clinics: tuple[str, tuple[LesionRecord, ...]], classes: tuple[str, ...]) -> ClinicsLesions:
    splits = [ClinicSplit(name, Splits((), (), records)) for name, records in clinics]
    return ClinicsLesions.of(splits, [Path(name) for name, _ in clinics], classes)


def of_images(*clinics: tuple[str, str]) -> DrawnTests:
    named = [(name, images(name, letters)) for name, letters in clinics]
    return DrawnTests.of(lesions_of(*named, classes=("melanoma", "nevus")), 50)


def values(figures: Figures) -> dict[tuple[str, str], float]:
    return {key: float(figure.values[0]) for key, figure in figures.items()}


def test_worked_example() -> None:
    records = (
        LesionRecord("1", Path(), "melanoma", "x"),
        LesionRecord("2", Path(), "melanoma", "y"),
        LesionRecord("3", Path(), "nevus", "y"),  # one lesion with two labels is a melanoma
        LesionRecord("4", Path(), "nevus", "z"),
    )
    lesions = lesions_of(("a", records), ("c", images("c", "mnnn")), classes=("melanoma", "nevus"))
    scores = two_classes([0.75, 0.5, 0.625, 0.25, 0.375, 0.5, 0.125, 0.125])
    found = values(melanoma_figures(DrawnTests.of(lesions, 10), scores, 0.5))
    # First clinic: 0.75 beats both nevi, 0.5 one of two; second: 0.375 beats two of three.
    assert found["a", AUC] == pytest.approx(3 / 4)
    assert found["c", AUC] == pytest.approx(2 / 3)
    assert found[WITHIN, AUC] == pytest.approx((2 * 3 / 4 + 2 / 3) / 3)
    # Together 15 pairs: 0.75 wins 5, 0.5 wins 3 and ties one, 0.375 wins 3.
    assert found[ALL, AUC] == pytest.approx(11.5 / 15)
    # Lesions: melanomas 0.75, 0.625 and 0.375, others 0.25, 0.5, 0.125, 0.125.
    assert found[ALL, ALERT_SENSITIVITY] == pytest.approx(2 / 3)
    assert found[ALL, ALERT_SPECIFICITY] == pytest.approx(3 / 4)
    assert found[ALL, BIOPSIES] == pytest.approx(3 / 2)
    assert found["c", ALERT_SENSITIVITY] == 0
    assert ("c", BIOPSIES) not in found, "no melanoma is found there"
    # At 20 % all melanomas and two others, at odds of 1 to 4; of 7 lesions. All others would be four.
    assert found[ALL, "net benefit at 20 %"] == pytest.approx((3 - 2 / 4) / 7)
    assert found[ALL, "net benefit over all at 20 %"] == pytest.approx(2 / 4 / 7)
    assert found[ALL, "net benefit over all at 5 %"] == pytest.approx(0)
    # By image: two of three melanomas (a tie is the first class), three of five nevi.
    assert found[ALL, ARGMAX_SENSITIVITY] == pytest.approx(2 / 3)
    assert found[ALL, BALANCED_ACCURACY] == pytest.approx((2 / 3 + 3 / 5) / 2)
    assert not [key for key in found if WORST in key or CALIBRATION_ERROR in key], "too few of both"


def random_clinics(seed: int) -> tuple[ClinicsLesions, np.ndarray]:  # type: ignore[type-arg]
    """Clinics of one image a lesion and their scores, which know a little."""
    rng = np.random.default_rng(seed)
    clinics, scores = [], []
    for name, size in SIZES.items():
        labels = rng.choice(3, size, p=[0.3, 0.5, 0.2])
        records = [LesionRecord(f"{name}{n}", Path(), CLASSES[label]) for n, label in enumerate(labels)]
        clinics.append((name, tuple(records)))
        logits = rng.normal(size=(size, 3)).round(1) + 1.5 * np.eye(3)[labels]  # with ties
        scores.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    return lesions_of(*clinics, classes=CLASSES), np.concatenate(scores).astype(np.float32)


def by_sklearn(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:  # type: ignore[type-arg]
    melanoma, score = labels == 0, scores[:, 0].astype(float)
    predicted = scores.argmax(axis=1)
    (spared, alarms), (_, found) = confusion_matrix(melanoma, score >= threshold)
    false, true, _ = roc_curve(melanoma, score, drop_intermediate=False)
    scaled = roc_auc_score(~melanoma, -score, max_fpr=0.2)  # as the ISIC 2024 challenge computes it
    partial = 0.02 + (0.2 - 0.02) * (scaled - 0.5) / 0.5
    at_fifth = score >= 0.2
    benefit = ((melanoma & at_fifth).sum() - (~melanoma & at_fifth).sum() / 4) / labels.size
    return {
        AUC: roc_auc_score(melanoma, score),
        PARTIAL_AUC: partial,
        "specificity at 90 % sensitivity": 1 - false[true >= 0.9].min(),
        "specificity at 95 % sensitivity": 1 - false[true >= 0.95].min(),
        ALERT_SENSITIVITY: found / melanoma.sum(),
        ALERT_SPECIFICITY: spared / (~melanoma).sum(),
        BIOPSIES: (found + alarms) / found,
        ARGMAX_SENSITIVITY: recall_score(labels, predicted, labels=[0], average="macro"),
        BALANCED_ACCURACY: balanced_accuracy_score(labels, predicted),
        "net benefit at 20 %": benefit,
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_of_scikit_learn_also_on_the_drawn_images(seed: int) -> None:
    lesions, scores = random_clinics(seed)
    tests = DrawnTests.of(lesions, 4)
    figures = melanoma_figures(tests, scores, 0.3)
    for draw, counts in enumerate(tests.weights.astype(int)):
        for clinic in (ALL, "a", "b"):
            of = np.arange(tests.labels.size)[(tests.clinic == clinic) | (clinic == ALL)]
            drawn = np.repeat(of, counts[of])
            expected = by_sklearn(tests.labels[drawn], scores[drawn], 0.3)
            if clinic != ALL:
                del expected["net benefit at 20 %"]
            found = {name: figures[clinic, name].values[draw] for name in expected}
            assert found == pytest.approx(expected), (draw, clinic)
            bins = ConfidenceBins.count(tests.labels[drawn], scores[drawn].astype(np.float64))
            assert figures[clinic, CALIBRATION_ERROR].values[draw] == pytest.approx(bins.error)
    assert ("c", CALIBRATION_ERROR) not in figures


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_of_a_runs_result(seed: int) -> None:
    lesions, scores = random_clinics(seed)
    found = values(melanoma_figures(DrawnTests.of(lesions, 1), scores, 0.3))
    own = np.split(scores, np.cumsum(list(SIZES.values()))[:-1])
    result = lesions.result(ArmPredictions(dict(zip(SIZES, own, strict=True))))
    assert result is not None
    assert found[WITHIN, AUC] == pytest.approx(result["auc_within"]["value"])
    assert found[ALL, PARTIAL_AUC] == pytest.approx(result["together"]["partial_auc"]["value"])
    for name in SIZES:
        assert found[name, AUC] == pytest.approx(result["clinics"][name]["auc"]["value"])
    for percent in (5, 10, 20):
        point = result["decision_curve"][percent - 1]
        assert found[ALL, f"net benefit at {percent} %"] == pytest.approx(point["model"])
        over = found[ALL, f"net benefit over all at {percent} %"]
        assert over == pytest.approx(point["model"] - point["all"])


def test_lesions_are_drawn_within_clinic_and_class() -> None:
    lesions, _ = random_clinics(0)
    tests = DrawnTests.of(lesions, 20)
    for clinic in SIZES:
        for label in range(3):
            stratum = (tests.clinic == clinic) & (tests.labels == label)
            assert (tests.weights[:, stratum].sum(axis=1) == stratum.sum()).all()
    assert np.ptp(tests.weights[1:], axis=0).max() > 0
    assert (DrawnTests.of(lesions, 20).weights == tests.weights).all(), "models share the resamples"


def test_images_of_a_patient_are_drawn_together_and_those_of_two_clinics_are_not() -> None:
    same = [LesionRecord(str(n), Path(), "nevus", f"lesion {n}", "patient") for n in range(3)]
    lesions = lesions_of(
        ("a", (*same, *images("a", "nnnn"))), ("b", tuple(same)), classes=("melanoma", "nevus")
    )
    weights = DrawnTests.of(lesions, 30).weights
    assert (weights[:, :3] == weights[:, :1]).all()
    assert (weights[:, 7:] == 1).all(), "the only patient of the other clinic"
    assert np.ptp(weights[:, 0]) > 0


def test_the_worst_clinic_is_of_those_with_twenty_melanomas() -> None:
    tests = of_images(("a", "m" * 20 + "n" * 20), ("b", "m" * 25 + "n" * 5), ("few", "m" * 19 + "n"))
    good, poor = [0.9] * 15 + [0.1] * 5 + [0.1] * 20, [0.9] * 15 + [0.1] * 10 + [0.1] * 5
    found = values(melanoma_figures(tests, two_classes([*good, *poor, *[0.1] * 20]), 0.5))
    assert found[WORST, ALERT_SENSITIVITY] == pytest.approx(15 / 25)
    assert found[WORST, ARGMAX_SENSITIVITY] == pytest.approx(15 / 25)
    assert found[WORST, ALERT_SPECIFICITY] == 1
    # Of a 15 / 20 of the pairs won, the others tied; of b 15 / 25.
    assert found[WORST, AUC] == pytest.approx((15 + 10 / 2) / 25)
    assert found["few", AUC] == 0.5


def test_a_clinic_without_melanomas_has_only_what_is_defined() -> None:
    tests = of_images(("a", "mmmmmnnnnn"), ("benign", "n" * 10), ("empty", ""))
    scores = two_classes([0.9] * 5 + [0.1] * 14 + [0.8])
    found = melanoma_figures(tests, scores, 0.5)
    benign = {figure: own.values[0] for (clinic, figure), own in found.items() if clinic == "benign"}
    assert benign == {ALERT_SPECIFICITY: pytest.approx(0.9), BALANCED_ACCURACY: pytest.approx(0.9)}
    assert found[WITHIN, AUC].values[0] == 1
    assert "empty" not in {clinic for clinic, _ in found}


def test_without_any_melanoma_nothing_of_it_is_defined() -> None:
    tests = of_images(("a", "nnnn"))
    found = melanoma_figures(tests, two_classes([0.1] * 4), None)
    assert {figure for _, figure in found} == {BALANCED_ACCURACY}
