"""The facts of a model card, and which of them may be published; none is about a single image or person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dermafed.shared.lesions.diagnoses import melanoma_class
from dermafed.shared.metrics.fairness.disclosure import FEWEST_IMAGES, FEWEST_OF_CLASS
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.training.recipe import Recipe

TestMetrics = Mapping[str, Any]
"""A :class:`dermafed.shared.metrics.classification.ClassificationMetrics` as JSON types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """The content of a run's model card.

    Attributes:
        name: the run's name.
        version: DermaFed's version.
        day: date of the run, ISO 8601.
        model: the architecture, the preprocessing, the labels, the round.
        recipe: the settings of the local training.
        training: the run's other settings, by name.
        clinics: images of each clinic; ``None`` where the coordinator does not know it.
        images: images of each class, over all clinics.
        counted: which images these are, for a heading.
        simulated: how a simulation divided its images among clinics: a column, ``iid:5`` or similar;
            ``None`` for a federation of machines.
        synthetic: whether the images were drawn by DermaFed.
        tests: metrics on test images, by clinic; those of all clinics together come first.
        validation: metrics of the model's round on all clinics' validation images.
        calibration: ``expected_calibration_error`` on test images, and its ``interval``.
        validation_calibration: the calibration's metrics on validation images.
        explanations: means of the measures of explanations, with intervals, over all clinics.
        audit: the clinics' audit for shortcuts, of :func:`dermafed.server.rounds.run_audit.load_run_audit`.
        groups: as :func:`dermafed.server.model_card.run_facts.group_lines` gives them.
        sides: images for training, validation and test, over all clinics, by ``train`` and so on.
        test_alert: the alert for melanoma on test lesions, at one threshold chosen on validation lesions.
        skips_bad: whether unreadable images and incomplete labels were left out; ``None``: not known.
        compared: whether each clinic alone and all images pooled were trained too.
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
    tests: Mapping[str, TestMetrics] = field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    validation_calibration: Mapping[str, Any] | None = None
    explanations: Mapping[str, Any] | None = None
    audit: Mapping[str, Any] | None = None
    groups: Sequence[Mapping[str, Any]] | None = None
    sides: Mapping[str, int] | None = None
    test_alert: Mapping[str, Any] | None = None
    skips_bad: bool | None = None
    compared: bool = False

    @property
    def together(self) -> TestMetrics | None:
        """The metrics on all clinics' test images."""
        return next(iter(self.tests.values()), None)

    @property
    def melanoma(self) -> str | None:
        """The model's class of melanoma, by its own name."""
        return melanoma_class(self.model.model.classes)


def publishable_counts(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    """The counts that may be published: all of them, or none if one is small.

    A single missing count could be found by subtraction from another total.
    """
    small = any(count is not None and count < FEWEST_IMAGES for count in counts.values())
    return dict.fromkeys(counts) if small else dict(counts)


def publishable_tests(tests: Mapping[str, TestMetrics]) -> dict[str, TestMetrics]:
    """The test sets that may be published, by the same rule: every clinic's, or only all clinics together."""
    together = dict(list(tests.items())[:1])
    every = dict(tests) if all(map(has_enough_images, tests.values())) else together
    return {name: metrics for name, metrics in every.items() if has_enough_images(metrics)}


def publishable_alert(alert: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The alert, if enough melanomas and other lesions chose its threshold and were tested with it."""
    point = None if alert is None else alert["all"]
    if alert is None or point is None:
        return None
    counts = point["alerts"]
    least = min(alert["validation_melanomas"], counts["melanomas"], counts["others"])
    return alert if least >= FEWEST_OF_CLASS else None


def has_enough_images(metrics: TestMetrics) -> bool:
    """Whether a test set has enough images to be reported."""
    return int(metrics["images"]) >= FEWEST_IMAGES


def has_enough_of_each_class(metrics: TestMetrics) -> bool:
    """Whether each class in a test set has enough images to be reported by itself."""
    supports = [of_class["support"] for of_class in metrics["per_class"].values()]
    return has_enough_images(metrics) and all(count == 0 or count >= FEWEST_OF_CLASS for count in supports)
