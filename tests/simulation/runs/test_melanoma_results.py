from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.arms import PREDICTIONS_FILE, VALIDATION_FILE, Arm, save_predictions
from dermafed.simulation.runs.melanoma_results import ArmPredictions, ClinicsLesions, melanoma_results

CLASSES = ("melanoma", "nevus")
FOLDERS = [Path("a%2Fb"), Path("c")]


def side(name: str, labels: str, lesions: str = "") -> tuple[LesionRecord, ...]:
    """Images with these labels, by their first letters, of these lesions of one patient."""
    full = {"m": "melanoma", "n": "nevus"}
    return tuple(
        LesionRecord(f"{name}{at}", Path(name), full[label], lesions[at : at + 1] or None)
        for at, label in enumerate(labels)
    )


def clinics() -> list[ClinicSplit]:
    first = Splits((), side("av", "mmn"), side("at", "mmnn", "1223"))
    return [ClinicSplit("a/b", first), ClinicSplit("c", Splits((), side("cv", "mn"), side("ct", "mnnn")))]


def scored(*melanoma: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([[score, 1 - score] for score in melanoma], np.float32)


def by_folder(*scores: Sequence[float]) -> Mapping[str, np.ndarray]:  # type: ignore[type-arg]
    return {folder.name: scored(*own) for folder, own in zip(FOLDERS, scores, strict=True)}


TEST = by_folder([0.75, 0.5, 0.625, 0.25], [0.375, 0.5, 0.125, 0.125])
LESIONS = ClinicsLesions.of(clinics(), FOLDERS, CLASSES)


def test_ranking_is_by_image_over_all_clinics_and_within_them() -> None:
    found = LESIONS.result(ArmPredictions(TEST))
    assert found is not None
    # First clinic: 0.75 beats both nevi, 0.5 one of two; second: 0.375 beats two of three.
    assert found["clinics"]["a/b"]["auc"]["value"] == pytest.approx(3 / 4)
    assert found["clinics"]["c"]["auc"]["value"] == pytest.approx(2 / 3)
    assert found["auc_within"]["value"] == pytest.approx((2 * 3 / 4 + 2 / 3) / 3)
    # Together 15 pairs: 0.75 wins 5, 0.5 wins 3 and ties one, 0.375 wins 3.
    assert found["together"]["auc"]["value"] == pytest.approx(11.5 / 15)
    assert (found["together"]["melanomas"], found["together"]["others"]) == (3, 5)
    assert found["one_threshold"] is None


def test_one_threshold_is_chosen_on_all_validation_lesions_and_tested_by_lesion() -> None:
    validation = by_folder([0.5, 0.875, 0.25], [0.75, 0.25])
    found = LESIONS.result(ArmPredictions(TEST, validation))
    assert found is not None
    alert = found["one_threshold"]
    # 95 % of 3 melanomas are all of them.
    assert (alert["threshold"], alert["validation_melanomas"]) == (0.5, 3)
    assert alert["promise"] == {
        "sentence": "Cannot be promised here: 3 melanomas, at least 29 are needed",
        "threshold": None,
    }
    first, second = alert["clinics"]["a/b"], alert["clinics"]["c"]
    # Lesion 2 has an image of either kind: a melanoma at 0.625. Lesion 3 stays below.
    assert first["alerts"] == {"melanomas": 2, "found": 2, "others": 1, "alarms": 0, "unit": "lesions"}
    assert second["alerts"] == {"melanomas": 1, "found": 0, "others": 3, "alarms": 1, "unit": "lesions"}
    assert alert["all"]["alerts"] == {"melanomas": 3, "found": 2, "others": 4, "alarms": 1, "unit": "lesions"}
    assert alert["all"]["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert alert["all"]["specificity"]["value"] == pytest.approx(3 / 4)
    # At the tests' own prevalence, 3 of 7: alerts by melanomas found.
    assert alert["all"]["needed_to_biopsy"]["value"] == pytest.approx(3 / 2)
    assert alert["all"]["sensitivity"]["interval"]["method"] == "Clopper-Pearson"


def test_the_decision_curve_is_of_all_test_lesions() -> None:
    found = LESIONS.result(ArmPredictions(TEST))
    assert found is not None
    curve = {point["threshold_probability"]: point for point in found["decision_curve"]}
    assert list(curve) == [percent / 100 for percent in range(1, 31)]
    # At 0.2: all 3 melanomas, and 2 of 4 others, at odds of 1 to 4; of 7 lesions.
    assert curve[0.2]["model"] == pytest.approx((3 - 2 / 4) / 7)
    assert curve[0.2]["all"] == pytest.approx((3 - 4 / 4) / 7)


def test_where_offsets_were_fitted_each_clinic_has_its_own_threshold() -> None:
    validation = by_folder([0.5, 0.875, 0.25], [0.375, 0.25])
    found = LESIONS.result(ArmPredictions(TEST, validation, (validation, TEST)))
    assert found is not None
    own = found["own_thresholds"]
    # All of one clinic's melanomas: the lower score. The other has one.
    assert {name: each["threshold"] for name, each in own["clinics"].items()} == {"a/b": 0.5, "c": 0.375}
    assert own["all"]["alerts"] == {"melanomas": 3, "found": 3, "others": 4, "alarms": 1, "unit": "lesions"}
    for fewer in (ArmPredictions(TEST, validation), ArmPredictions(TEST, None, (validation, TEST))):
        without = LESIONS.result(fewer)
        assert without is not None
        assert without["own_thresholds"] is None


def test_a_test_without_melanomas_has_no_operating_point() -> None:
    one = ClinicsLesions.of(
        [ClinicSplit("c", Splits((), side("cv", "mn"), side("ct", "nn")))], FOLDERS[1:], CLASSES
    )
    found = one.result(ArmPredictions({"c": scored(0.5, 0.25)}, {"c": scored(0.5, 0.25)}))
    assert found is not None
    assert (found["together"], found["one_threshold"]["all"]) == (None, None)


def test_without_a_class_of_melanoma_there_is_nothing() -> None:
    lesions = ClinicsLesions.of(clinics(), FOLDERS, ("nevus", "other"))
    assert lesions.result(ArmPredictions(TEST)) is None
    assert melanoma_results(lesions, []) is None


def test_each_clinics_own_model_is_tested_at_home(tmp_path: Path) -> None:
    def arm(name: str, member: Path, *scores: Sequence[float]) -> Arm:
        own = by_folder(*scores)
        folder = tmp_path / name.replace(":", "-")
        folder.mkdir()
        save_predictions(folder / PREDICTIONS_FILE, list(own.values()))
        return Arm(name, folder, (member,), tuple(FOLDERS), None, "fedavg", "local", "")  # type: ignore[arg-type]

    perfect, useless = [0.75, 0.75, 0.25, 0.25], [0.5] * 4
    arms = [
        arm("federated", FOLDERS[0], useless, useless),
        arm("local:a%2Fb", FOLDERS[0], perfect, useless),
        arm("local:c", FOLDERS[1], useless, [0.75, 0.25, 0.25, 0.25]),
    ]
    save_predictions(arms[0].folder / VALIDATION_FILE, [scored(0.5, 0.5, 0.5), scored(0.5, 0.5)])
    found = melanoma_results(LESIONS, arms)
    assert found is not None
    assert found["with_offsets"] == {}
    assert found["as_trained"]["local"]["auc_within"]["value"] == 1
    assert found["as_trained"]["local"]["one_threshold"] is None
    assert found["as_trained"]["federated"]["auc_within"]["value"] == 0.5
    assert found["as_trained"]["federated"]["one_threshold"]["all"]["specificity"]["value"] == 0
