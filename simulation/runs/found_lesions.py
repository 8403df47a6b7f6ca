"""The lesion finder of a run: saved with its model, and tested on the test images that have lesion masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dermafed.client.node.clinic_masks import with_masks
from dermafed.server.rounds.run_finder import load_run_finder
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import save_finder
from dermafed.shared.lesion_finder.images import FoundLesion, find_lesions
from dermafed.shared.lesion_finder.outline import pixel_shares
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.metrics.segmentation import ImageOverlap, segmentation_report
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import loaded_classifier
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.runs.arms import FOUND_FILE, Arm

Tested = tuple[FoundLesion, ImageOverlap, str]
"""What was found in an image, how well, and the name of the lesion."""


def save_and_test_finder(arm: Arm, weights: FloatVector) -> None:
    """Save the arm's lesion finder with its model, test it once, and write ``found-lesions.json``.

    Without a finder, the file says which clinics had no masks, and nothing is tested.
    """
    finder, facts = load_run_finder(arm.folder) or (None, {})
    if finder is not None and arm.model is not None:
        save_finder(arm.model[0], finder)
    tested = {} if finder is None else _tested(arm, weights, finder)
    write_json(arm.folder / FOUND_FILE, {**facts, "test": _summary(tested)})


def _tested(arm: Arm, weights: FloatVector, finder: LesionFinder) -> dict[str, list[Tested]]:
    """The test images with masks of every clinic that has some, by its name."""
    names = {clinic: read_clinic_split(clinic).name for clinic in arm.tests}
    found = {names[clinic]: list(_test(clinic, arm.plan, weights, finder)) for clinic in arm.tests}
    return {name: tested for name, tested in found.items() if tested}


def _test(clinic: Path, plan: Plan, weights: FloatVector, finder: LesionFinder) -> Iterator[Tested]:
    pairs = with_masks(read_clinic_split(clinic).splits.test, plan.preprocess)
    images = load_labelled([record for record, _ in pairs], plan.model, plan.preprocess).images
    lesions = find_lesions(loaded_classifier(plan.model, weights), finder, images)
    for (record, mask), image, found in zip(pairs, images, lesions, strict=True):
        scores = pixel_shares(found.shares, image)
        yield found, ImageOverlap.of(found.outline.region, scores, mask), record.group


def _summary(tested: dict[str, list[Tested]]) -> dict[str, Any] | None:
    """The report of all images together and of each clinic; ``None`` without any."""
    together = [one for own in tested.values() for one in own]
    if not together:
        return None
    return {"all": _report(together), "clinics": {name: _report(own) for name, own in tested.items()}}


def _report(tested: list[Tested]) -> dict[str, Any]:
    outlines = [found.outline for found, _, _ in tested]
    overlaps, lesions = [overlap for _, overlap, _ in tested], [lesion for _, _, lesion in tested]
    return {
        **segmentation_report(overlaps, lesions),
        "nothing_found": sum(not outline.found for outline in outlines),
        "several_found": sum(outline.lesions > 1 for outline in outlines),
    }
