"""The quality of one clinic's explanations as counts and sums, which add up over clinics.

Everything that leaves a clinic about its explanations is an :class:`ExplanationQuality`; no single image's
score is in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.intervals import Interval, wilson


@dataclass(frozen=True, slots=True)
class Measure:
    """The range of a measure, and which end of it is better.

    Attributes:
        range: the least and the greatest value.
        better: where a good explanation lies; ``None`` for what is only there to compare with.
    """

    range: tuple[float, float]
    better: Literal["low", "high"] | None


MEASURES = {
    "pixel_precision": Measure((0, 1), "high"),
    "pixel_precision_blob": Measure((0, 1), None),
    "pixel_precision_mean_mask": Measure((0, 1), None),
    "pixel_precision_other_image": Measure((0, 1), None),
    "off_centre_precision": Measure((0, 1), "high"),
    "off_centre_precision_blob": Measure((0, 1), None),
    "off_centre_precision_mean_mask": Measure((0, 1), None),
    "off_centre_precision_other_image": Measure((0, 1), None),
    "deletion": Measure((0, 1), "low"),
    "insertion": Measure((0, 1), "high"),
    "drop": Measure((0, 1), "low"),
    "increase": Measure((0, 1), "high"),
    "pointing": Measure((0, 1), "high"),
    "pointing_chance": Measure((0, 1), None),
    "pointing_gain": Measure((-1, 1), "high"),
    "stability_shift": Measure((-1, 1), "high"),
    "stability_noise": Measure((-1, 1), "high"),
    "stability_jpeg": Measure((-1, 1), "high"),
    "class_correlation": Measure((-1, 1), "low"),
    "contrast_correlation": Measure((-1, 1), "low"),
    "randomised": Measure((-1, 1), "low"),
    "randomised_in_lesion": Measure((-1, 1), "low"),
    "chance_in_lesion": Measure((-1, 1), None),
}
"""Pixel precision is average precision against the lesion's mask, ``off_centre_precision`` the same on the
third of images whose lesion is farthest from the middle; with a null's name, of a map that does not look.
``pointing_gain`` is pointing less its chance level, image by image; it rewards narrow maps."""

BINARY_MEASURES = {"increase"}
"""Measures that are 0 or 1 for an image."""


FEWEST_IMAGES = 5
"""A mean over fewer images comes close to revealing a single score: it is not computed."""

MOST_IMAGES = 10_000
"""More images than a clinic ever explains for this."""

STUDENT = "Student's t, images taken as independent"
_REMEDY = "Install the same version of DermaFed at every clinic"


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, sum and sum of squares of a measure; those of several clinics add.

    Attributes:
        count: number of images n, at least :data:`FEWEST_IMAGES`.
        sum: of the images' values.
        squares: sum of their squares.
    """

    count: int
    sum: float
    squares: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Sum up values, exactly, so that their order leaves no trace."""
        listed = list(values)
        return cls(len(listed), math.fsum(listed), math.fsum(value * value for value in listed))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.sum + other.sum, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Mean of the images' values."""
        return self.sum / self.count

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, s / sqrt(n)."""
        variance = (self.squares - self.sum * self.mean) / (self.count - 1)
        return math.sqrt(max(0.0, variance) / self.count)


@dataclass(frozen=True, slots=True)
class ExplanationQuality:
    """What a clinic sends about its explanations.

    Attributes:
        images: number of images explained.
        moments: by measure of :data:`MEASURES`; one that had a value on
            fewer than :data:`FEWEST_IMAGES` images, such as pointing without masks, is left out.
    """

    images: int
    moments: Mapping[str, Moments]

    @classmethod
    def from_scores(cls, scores: Sequence[Mapping[str, float]]) -> ExplanationQuality:
        """Sum up the measures of single images.

        Args:
            scores: for each image its values by measure; measures may be missing.

        Raises:
            DatasetError: there are fewer than :data:`FEWEST_IMAGES` images.
        """
        if len(scores) < FEWEST_IMAGES:
            raise DatasetError(
                f"{len(scores)} images are too few to measure explanations without revealing single scores",
                remedy=f"Give at least {FEWEST_IMAGES} images",
            )
        values = {name: [score[name] for score in scores if name in score] for name in MEASURES}
        enough = {name: found for name, found in values.items() if len(found) >= FEWEST_IMAGES}
        return cls(len(scores), {name: Moments.of(found) for name, found in enough.items()})

    def __add__(self, other: ExplanationQuality) -> ExplanationQuality:
        merged = dict(self.moments)
        for name, moments in other.moments.items():
            merged[name] = merged[name] + moments if name in merged else moments
        return ExplanationQuality(self.images + other.images, merged)

    def interval(self, name: str) -> Interval:
        """95 % interval of a measure's mean: Wilson's for a proportion, else Student's, within the range."""
        moments = self.moments[name]
        if name in BINARY_MEASURES:
            found = wilson(round(moments.sum), moments.count)
            assert found is not None
            return found
        spread = float(stdtrit(moments.count - 1, 0.975)) * moments.standard_error
        low, high = np.clip([moments.mean - spread, moments.mean + spread], *MEASURES[name].range)
        return Interval(float(low), float(high), STUDENT)

    def summary(self) -> dict[str, Any]:
        """Number of images, and each measure's count, mean and 95 % interval; ready for JSON."""
        return {
            "images": self.images,
            "measures": {
                name: {"count": moments.count, "mean": moments.mean, "interval": asdict(self.interval(name))}
                for name, moments in self.moments.items()
            },
        }

    def to_flat(self) -> dict[str, float]:
        """All counts and sums: ``images``, then ``drop.count``, ``drop.sum``, ``drop.squares`` and so on."""
        fields = {
            f"{name}.{field}": float(value)
            for name, moments in self.moments.items()
            for field, value in asdict(moments).items()
        }
        return {"images": float(self.images), **fields}

    @classmethod
    def from_flat(cls, fields: Mapping[str, float]) -> ExplanationQuality:
        """Read what :meth:`to_flat` wrote; every field is checked.

        Raises:
            FederationError: a field is missing, unknown, or impossible for any images.
        """
        names = [name for name in MEASURES if f"{name}.count" in fields]
        try:
            moments = {name: _read(fields, name) for name in names}
            quality = cls(_whole(fields["images"]), moments)
        except (KeyError, ValueError, OverflowError) as error:
            raise _refusal(f"a field is missing or no count ({error})") from error
        if unknown := fields.keys() - quality.to_flat().keys():
            raise _refusal(f"{len(unknown)} fields are unknown")
        quality._validate()
        return quality

    def _validate(self) -> None:
        if not FEWEST_IMAGES <= self.images <= MOST_IMAGES:
            raise _refusal(f"they are of {self.images} images")
        for name, moments in self.moments.items():
            if not FEWEST_IMAGES <= moments.count <= self.images:
                raise _refusal(f"'{name}' counts {moments.count} of {self.images} images")
            if not _possible(moments, *MEASURES[name].range):
                raise _refusal(f"no images have these sums of '{name}'")


def _read(fields: Mapping[str, float], name: str) -> Moments:
    return Moments(_whole(fields[f"{name}.count"]), fields[f"{name}.sum"], fields[f"{name}.squares"])


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError("not whole")
    return int(value)


def _possible(moments: Moments, low: float, high: float) -> bool:
    """Whether values in [low, high] can have these sums; false for NaN too."""
    slack = 1e-9 * moments.count
    n, total, squares = moments.count, moments.sum, moments.squares
    if not n * low - slack <= total <= n * high + slack:
        return False
    # Bhatia and Davis 2000: the variance is at most (high - mean) (mean - low).
    return total * total / n - slack <= squares <= total * (low + high) - n * low * high + slack


def _refusal(why: str) -> FederationError:
    return FederationError(f"A clinic's explanation quality is refused: {why}", remedy=_REMEDY)
