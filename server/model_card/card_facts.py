"""What a run tells of its model; nothing of a single image or person is among it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dermafed.shared.metrics.fairness.disclosure import FEWEST_IMAGES, FEWEST_OF_CLASS
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.training.recipe import Recipe

Figures = Mapping[str, Any]
"""Of one test set: :class:`dermafed.shared.metrics.ClassificationMetrics` as JSON types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """A run, as its model card tells it.

    Attributes:
        name: of the run.
        version: of DermaFed.
        day: when it was done, ISO 8601.
        model: the architecture, the preprocessing, the labels, the round.
        recipe: of the local training.
        training: the run's other settings, by name.
        clinics: images of each clinic; ``None`` where the coordinator was not told.
        images: images of each class, over all clinics.
        counted: which images these are, for a heading.
        simulated: how one machine dealt its images to clinics, if it did: a column, ``iid:5`` or the like.
        synthetic: whether the images were drawn by DermaFed.
        tests: figures on test images, by whose they are; those of all clinics together come first.
        validation: figures of the model's round on all clinics' validation images.
        calibration: ``expected_calibration_error`` on test images, and its ``interval``.
        validation_calibration: the calibration's metrics on validation images.
        explanations: means of the measures of explanations, with intervals, over all clinics.
        groups: as :func:`dermafed.server.model_card.run_facts.group_lines` gives them.
    """

    name: str
    version: str
    day: str
    model: ModelInfo
    recipe: Recipe
    training: Mapping[str, Any]
    clinics: Mapping[str, int | None]
    images: Mapping[str, int]
    counted: str
    simulated: str | None = None
    synthetic: bool = False
    tests: Mapping[str, Figures] = field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    validation_calibration: Mapping[str, Any] | None = None
    explanations: Mapping[str, Any] | None = None
    groups: Sequence[Mapping[str, Any]] | None = None

    @property
    def together(self) -> Figures | None:
        """The figures on all clinics' test images."""
        return next(iter(self.tests.values()), None)


def told(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    """Counts that may be published: all of them, or none where one is small.

    One alone left out could be found by subtraction from another total.
    """
    small = any(count is not None and count < FEWEST_IMAGES for count in counts.values())
    return dict.fromkeys(counts) if small else dict(counts)


def told_tests(tests: Mapping[str, Figures]) -> dict[str, Figures]:
    """The test sets that may be told, for the same reason: every clinic's, or only those of all together."""
    together = dict(list(tests.items())[:1])
    every = dict(tests) if all(map(enough, tests.values())) else together
    return {name: figures for name, figures in every.items() if enough(figures)}


def enough(figures: Figures) -> bool:
    """Whether a test set has images enough to be judged at all."""
    return int(figures["images"]) >= FEWEST_IMAGES


def enough_of_each(figures: Figures) -> bool:
    """Whether each class that a test set has may be judged by itself."""
    supports = [of_class["support"] for of_class in figures["per_class"].values()]
    return enough(figures) and all(count == 0 or count >= FEWEST_OF_CLASS for count in supports)
