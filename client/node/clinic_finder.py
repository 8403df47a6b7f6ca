"""A clinic's part in the lesion finder of a run's last model, by its training images with lesion masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dermafed.client.node.clinic_calibrator import check_finite
from dermafed.client.node.clinic_masks import with_masks
from dermafed.client.node.consent import ApprovedRun
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import MODEL, find_saved_model
from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import save_finder
from dermafed.shared.lesion_finder.finder_sums import FinderSums, check_enough_masks
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import loaded_classifier
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class ClinicFinder:
    """Sums up the cells of a clinic's images, and takes the finder of all clinics.

    Attributes:
        folder: of the clinic's split.
        plan: the run.
        save: takes the finder of all clinics.
    """

    folder: Path
    plan: Plan
    save: Callable[[LesionFinder], None]

    def sums(self, weights: FloatVector) -> FinderSums:
        """The sums of the training images with lesion masks.

        Args:
            weights: the model, float32 (P,); without the clinic's own batch normalisation, as it is saved.

        Raises:
            TooFewMasks: there are none, or too few.
            FederationError: the model is not finite.
            ImageError: an image or a mask cannot be read.
        """
        check_finite(weights)
        plan = self.plan
        records = read_clinic_split(self.folder).splits.train
        pairs = with_masks(records, plan.preprocess)
        check_enough_masks(len(pairs))
        configure_backend(plan.threads)
        images = load_labelled([record for record, _ in pairs], plan.model, plan.preprocess).images
        classifier = loaded_classifier(plan.model, weights)
        return sum_up_images(classifier, images, [mask for _, mask in pairs])


def node_finder(home: Home, run: ApprovedRun) -> ClinicFinder:
    """The part of a clinic's node, which saves the finder beside the run's model.

    A model with the clinic's own last layer has the same maps, and so the same finder, under its own digest.
    """

    def save(finder: LesionFinder) -> None:
        model = find_saved_model(home.models, run.hash, run.offer)
        if model is None or weights_digest(model.weights()) != finder.model:
            raise FederationError(
                "The lesion finder is of another model than the one saved", where=home.models
            )
        own = weights_digest(model.own_weights())
        save_finder(model.folder / MODEL, replace(finder, model=own))

    return ClinicFinder(run.folder.split, run.plan, save)
