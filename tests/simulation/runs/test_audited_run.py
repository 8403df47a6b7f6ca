"""A run's audit over real Flower apps: what all clinics' test lesions in one place would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.client.node.clinic_audit import ClinicAudit, some_lesions
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.run_audit import MODEL_AUDIT_FILE, load_run_audit
from dermafed.shared.artefacts.artefacts import CHANGES, draw
from dermafed.shared.artefacts.surroundings import central_disc
from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.metrics.intervals import clopper_pearson
from dermafed.shared.training.data import label_images
from dermafed.shared.training.predict import predict
from dermafed.simulation.runs.arms import Arm
from dermafed.simulation.runs.train_arm import _train
from tests.client.node.test_clinic_trainer import PLAN, PREPROCESS, _tiny
from tests.shared.training.tiny import CLASSES, start

__all__ = ["_tiny"]

TRAINED = 6

Answered = dict[str, tuple[bool, float]]


def images(folder: Path, seed: int, lesions: int) -> tuple[LesionRecord, ...]:
    """Two photographs of each lesion: a disc of random lightness on lighter skin."""
    rng, made = np.random.default_rng(seed), []
    for number in range(2 * lesions):
        image = np.where(central_disc(40, 40)[..., None], rng.integers(20, 230, 3), 200)
        path = folder / f"{seed}-{number}.png"
        cv2.imwrite(str(path), (image + rng.integers(0, 20, (40, 40, 3))).astype(np.uint8))
        lesion = number // 2
        made.append(LesionRecord(path.stem, path, CLASSES[lesion % 3], lesion_id=f"{seed}-{lesion}"))
    return tuple(made)


def answers(records: Sequence[LesionRecord], weights: np.ndarray, change: str | None) -> Answered:
    """By lesion, whether an image is answered melanoma, and its highest log-odds."""
    read = [(record, read_image(record.path)) for record in records]
    if change is not None:
        lesion = central_disc(40, 40)
        read = [(record, draw(CHANGES[change], image, lesion, record.image_id)) for record, image in read]
    inputs = np.stack([preprocess(image, PREPROCESS).image for _, image in read])
    found: Answered = {}
    for record, scores in zip(
        records, predict(PLAN.model, weights, label_images(records, inputs, PLAN.model)), strict=True
    ):
        own = float(np.log(scores[0]) - np.log(scores[1:].sum(dtype=np.float64)))
        melanoma, highest = found.get(record.lesion, (False, -np.inf))
        found[record.lesion] = melanoma or bool(scores.argmax() == 0), max(highest, own)
    return found


def without_few(answered: Answered) -> Answered:
    """Without the lesions of an answer that fewer than five have."""
    count = Counter(melanoma for melanoma, _ in answered.values())
    return {lesion: answer for lesion, answer in answered.items() if count[answer[0]] >= 5}


@pytest.fixture
def arm(tmp_path: Path) -> Arm:
    """Linz has no test image."""
    for seed, (name, lesions) in enumerate({"Graz": 30, "Linz": 0, "Wien": 21}.items()):
        training, test = images(tmp_path, 10 + seed, TRAINED), images(tmp_path, seed, lesions)
        write_clinic_split(tmp_path / name, Splits(training, training[:2], test))
    clinics = tuple(tmp_path / name for name in ("Graz", "Linz", "Wien"))
    plan = replace(PLAN, rounds=1, class_counts=(12, 12, 12))
    folder = tmp_path / "arm"
    folder.mkdir()
    return Arm("federated", folder, clinics, clinics, plan, "fedavg", "local", "none", audit_model=True)


def test_all_clinics_together_have_the_audit_of_all_their_lesions(arm: Arm, tmp_path: Path) -> None:
    _train(arm)
    found, weights = load_run_audit(arm.folder), load_state(arm.folder).weights
    assert found is not None
    assert found["left_out"] == {"Linz": "audit failed there (DatasetError); its own log says why"}
    clinics = {"Graz": images(tmp_path, 0, 30), "Wien": images(tmp_path, 2, 21)}
    shown = {name: without_few(answers(records, weights, None)) for name, records in clinics.items()}
    assert {name: own["lesions"] for name, own in found["clinics"].items()} == {
        name: len(own) for name, own in shown.items()
    }
    before = shown["Graz"] | shown["Wien"]
    records = [record for own in clinics.values() for record in own if record.lesion in before]
    assert (found["round"], found["all"]["lesions"]) == (1, len(before))
    for name in ("ink", "white-balance", "lesion-erased"):
        after, effect = answers(records, weights, name), found["all"]["effects"][name]
        changes = [after[lesion][1] - before[lesion][1] for lesion in before]
        assert effect["change"]["mean"] == pytest.approx(np.mean(changes), abs=1e-4)
        for direction, melanoma in (("to_melanoma", False), ("to_benign", True)):
            asked = [lesion for lesion, (answer, _) in before.items() if answer == melanoma]
            flipped = sum(after[lesion][0] != melanoma for lesion in asked)
            if len(asked) < 5:
                assert effect[direction] is None
                continue
            assert (effect[direction]["flipped"], effect[direction]["lesions"]) == (flipped, len(asked))
            exact = clopper_pearson(flipped, len(asked))
            assert exact is not None
            assert effect[direction]["interval"]["high"] == exact.high
    (arm.folder / MODEL_AUDIT_FILE).write_text("{}")
    with pytest.raises(FederationError, match="audit of shortcuts cannot be read"):
        load_run_audit(arm.folder)


def test_a_model_that_is_not_finite_or_does_not_know_melanoma_is_refused(arm: Arm) -> None:
    audit = ClinicAudit(arm.members[0], arm.plan, arm.folder)
    with pytest.raises(FederationError, match="not finite"):
        audit(np.full(10, np.nan, np.float32), 1)
    plan = replace(arm.plan, model=replace(arm.plan.model, classes=("a", "b", "c")))
    with pytest.raises(DatasetError, match="does not know melanoma"):
        ClinicAudit(arm.members[0], plan, arm.folder)(start(PLAN.model), 1)


def test_of_many_lesions_some_are_audited_with_all_their_images() -> None:
    records = [LesionRecord(str(n), Path(str(n)), "nevus", lesion_id=f"lesion {n // 2}") for n in range(20)]
    chosen = some_lesions(records, 4)
    assert [record.image_id for record in chosen] == ["0", "1", "6", "7", "12", "13", "18", "19"]
    assert some_lesions(records, 10) == some_lesions(records) == records
    assert some_lesions([], 4) == []
