"""Whether a trained model takes a patch for the class that a hostile clinic wants it to stand for."""

from __future__ import annotations

import numpy as np

from dermafed.client.node.clinic_trainer import batch_norm_files
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.data import LabelledImages, load_labelled
from dermafed.shared.training.predict import predict
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.runs.arms import BACKDOOR_FILE, Arm
from dermafed.simulation.runs.hostile_trainer import TARGET, patched


def measure_backdoor(arm: Arm, weights: FloatVector) -> None:
    """Count, over all clinics' test images of other classes, those that are called the target.

    Writes ``target``, ``images``, and how many are called so as they are (``plain``) and with the patch
    (``patched``) into the arm's folder.
    """
    counts = np.zeros(3, np.int64)
    for clinic in arm.tests:
        memory = batch_norm_files(arm.plan, arm.state_folder(clinic))
        data = load_labelled(read_clinic_split(clinic).splits.test, arm.plan.model, arm.plan.preprocess)
        others = np.flatnonzero(data.labels != TARGET)
        metadata = None if data.metadata is None else data.metadata[others]
        plain = LabelledImages(data.images[others], data.labels[others], metadata)
        spoiled = LabelledImages(patched(plain.images), plain.labels, metadata)
        found = [
            predict(arm.plan.model, weights, images, round=arm.plan.rounds, memory=memory)
            for images in (plain, spoiled)
        ]
        counts += [len(plain), *(int((scores.argmax(axis=1) == TARGET).sum()) for scores in found)]
    names = ("images", "plain", "patched")
    figures = dict(zip(names, counts.tolist(), strict=True))
    write_json(arm.folder / BACKDOOR_FILE, {"target": arm.plan.model.classes[TARGET], **figures})
