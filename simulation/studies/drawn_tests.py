"""A run's test images, and resamples of them that all models share: lesions drawn within clinic and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.lesion_groups import draw
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.metrics.intervals import draw_lesions
from dermafed.simulation.runs.melanoma_results import ClinicsLesions

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnTests:
    """Test images, in the order of the clinics.

    Attributes:
        classes: the models' classes, melanoma among them.
        clinic: name of each image's clinic (N).
        labels: their classes' indices, int64 (N,).
        lesions: the lesion of each, unique over clinics (N).
        groups: the patient, else the lesion, of each, unique over clinics: what is drawn (N).
        weights: how often each image is in the test as it is [0], and in every resample [1:]: float64
            (1 + R, N).
        seed: of the resamples; drawn from the images, so equal where two models were tested on the same ones.
    """

    classes: tuple[str, ...]
    clinic: NDArray[np.str_]
    labels: Ints
    lesions: NDArray[np.str_]
    groups: NDArray[np.str_]
    weights: Floats
    seed: int

    @classmethod
    def of(cls, lesions: ClinicsLesions, resamples: int) -> DrawnTests:
        """Draw the clinics' test images.

        Args:
            lesions: with at least one test image.
            resamples: number of resamples, R.
        """
        tests = [(own.name, record) for own in lesions.clinics.values() for record in own.splits.test]
        labels = np.array([lesions.classes.index(record.label) for _, record in tests], np.int64)
        clinic = np.array([name for name, _ in tests])
        owners = np.array([f"{name}/{record.lesion}" for name, record in tests])
        groups = np.array([f"{name}/{record.group}" for name, record in tests])
        seed = draw(0, *(f"{name} {record.image_id} {record.label}" for name, record in tests))
        _, place = np.unique(clinic, return_inverse=True)
        _, group = np.unique(groups, return_inverse=True)
        rng, strata = np.random.default_rng(seed), len(lesions.classes) * place + labels
        drawn = draw_lesions(strata, group, rng, resamples)[:, group]
        weights = np.concatenate([np.ones((1, labels.size)), drawn])
        return cls(lesions.classes, clinic, labels, owners, groups, weights, seed)

    @property
    def clinics(self) -> list[str]:
        """The names of the clinics that have test images, in their order."""
        return list(dict.fromkeys(self.clinic.tolist()))

    @property
    def melanoma(self) -> int:
        """Index of the class of melanoma."""
        return self.classes.index(MELANOMA)

    @property
    def is_melanoma(self) -> Bools:
        """Whether each image is of a melanoma, bool (N,)."""
        return np.asarray(self.labels == self.melanoma)

    def at(self, clinic: str) -> DrawnTests:
        """One clinic's images, with the same resamples."""
        images = self.clinic == clinic
        parts = {name: getattr(self, name)[images] for name in ("clinic", "labels", "lesions", "groups")}
        return replace(self, **parts, weights=self.weights[:, images])

    def fewest(self, sides: Sequence[Bools]) -> int:
        """Lesions, or patients, of the rarest of some sets of the images; each bool (N,)."""
        return min(np.unique(self.groups[side]).size for side in sides)
