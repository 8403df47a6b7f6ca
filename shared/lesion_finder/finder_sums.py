"""What a clinic sends for the lesion finder: sums over the cells of its images, which add up over clinics.

A = sum x x^T and b = sum x m, x a cell's features with a 1 behind them, m the share of the cell that is
lesion by the mask. Whoever adds up all clinics' sums has what one pass over all images gives, as for the
exact head (:mod:`dermafed.shared.training.exact_head.head_sums`).

The cells of one image span no more than G^2 directions, so A would show whether an image is among few. And
sums over few images are nearly those of single ones. So a clinic with fewer than FEWEST_IMAGES sends none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError, FederationError, ModelError
from dermafed.shared.metrics.evaluation import MAX_IMAGES
from dermafed.shared.training.exact_head.head_sums import LARGEST_FEATURE, Floats

FEWEST_IMAGES = 20
"""Of fewer images with a mask, a clinic sends no sums."""

MOST_CELLS = 128**2
"""Of an image: that of an input of 1,024 pixels."""

_ROUNDING = 1e-9
_REMEDY = "Install the same version of DermaFed at every clinic"


class TooFewMasks(DatasetError):
    """The clinic has no lesion masks, or too few: it sends no sums, and receives the finder of the others."""


@dataclass(frozen=True, slots=True, eq=False)
class FinderSums:
    """Sums over the cells of images, each cell with K features; those of several clinics add.

    Attributes:
        gram: A, float64 (K + 1, K + 1), symmetric; its corner is the number of cells.
        targets: b, float64 (K + 1,); its last value is how many cells the lesions fill.
        images: number of images.
    """

    gram: Floats
    targets: Floats
    images: int

    @classmethod
    def none(cls, features: int) -> FinderSums:
        """Those of no image."""
        return cls(np.zeros((features + 1, features + 1)), np.zeros(features + 1), 0)

    @classmethod
    def of(cls, cells: NDArray[np.floating], shares: NDArray[np.floating]) -> FinderSums:
        """Sum up the cells of a batch of images.

        Args:
            cells: features (N, G, G, K).
            shares: of each cell, how much of it is lesion, in [0, 1], (N, G, G).

        Raises:
            ModelError: a feature is NaN, infinite, or beyond LARGEST_FEATURE.
        """
        if not (np.abs(cells) <= LARGEST_FEATURE).all():  # NaN is not below it
            raise ModelError("The network's maps are not finite, or far too large", remedy="Train it anew")
        found = cls.none(cells.shape[-1])
        gram, targets = found.gram, found.targets
        for own, filled in zip(
            cells, shares, strict=True
        ):  # one by one: in double precision, a batch is large
            flat = own.reshape(-1, own.shape[-1]).astype(np.float64)
            rows = np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
            gram += rows.T @ rows
            targets += rows.T @ filled.ravel().astype(np.float64)
        return cls((gram + gram.T) / 2, targets, len(cells))

    def __add__(self, other: FinderSums) -> FinderSums:
        if self.targets.shape != other.targets.shape:
            raise FederationError("Two clinics summed up other cells", remedy=_REMEDY)
        return FinderSums(self.gram + other.gram, self.targets + other.targets, self.images + other.images)

    def times(self, factor: float) -> FinderSums:
        """A and b times a factor, as if every cell counted so much; the number of images is the same."""
        return FinderSums(factor * self.gram, factor * self.targets, self.images)

    @property
    def cells(self) -> float:
        """Number of cells, or what they count together."""
        return float(self.gram[-1, -1])

    @property
    def features(self) -> int:
        """Number of features K."""
        return len(self.targets) - 1

    def validate(self) -> None:
        """Refuse sums that no images and masks could give.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        size = len(self.targets)
        if size < 2 or self.gram.shape != (size, size):
            raise _refusal("they have another shape")
        if not (np.isfinite(self.gram).all() and np.isfinite(self.targets).all()):
            raise _refusal("they are not finite")
        if not FEWEST_IMAGES <= self.images <= MAX_IMAGES:
            raise _refusal(f"they are of {self.images} images")
        if not (self.cells % self.images == 0 and 1 <= self.cells / self.images <= MOST_CELLS):
            raise _refusal("they disagree with their number of images")
        if not (np.diag(self.gram)[:-1] <= self.cells * LARGEST_FEATURE**2).all():
            raise _refusal("their features are far too large")
        if not np.array_equal(self.gram, self.gram.T):
            raise _refusal("A is not symmetric")
        if not 0 <= self.targets[-1] <= self.cells * (1 + _ROUNDING):
            raise _refusal("the lesions fill more than all cells")
        self._validate_moments()

    def _validate_moments(self) -> None:
        """Whether the matrix [[A, b], [b^T, sum m^2]] can be a sum of squares.

        The shares m are at most 1, so sum m^2 is at most sum m, the last value of b; with that in its place
        the matrix has no negative direction.
        """
        whole = np.block([[self.gram, self.targets[:, None]], [self.targets[None], self.targets[-1:, None]]])
        squares = np.maximum(np.diag(whole), 0)
        largest = np.sqrt(np.outer(squares, squares))  # Cauchy and Schwarz
        if not (np.abs(whole) <= largest * (1 + 1e-6) + _ROUNDING).all():
            raise _refusal("no features have these moments")
        scale = 1 / np.sqrt(np.where(squares > 0, squares, 1))
        if np.linalg.eigvalsh(whole * np.outer(scale, scale))[0] < -_ROUNDING * len(whole):
            raise _refusal("no lesions have these shares of the features")


def sum_up(batches: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], features: int) -> FinderSums:
    """Sum up batches of cells (N, G, G, K) and shares (N, G, G), one at a time in the memory.

    Args:
        batches: of a clinic's images with masks.
        features: K.

    Raises:
        ModelError: a feature is not finite.
    """
    found = FinderSums.none(features)
    for cells, shares in batches:
        found = found + FinderSums.of(cells, shares)
    return found


def check_enough_masks(images: int) -> None:
    """Refuse to sum up few images.

    Raises:
        TooFewMasks: there are fewer than FEWEST_IMAGES.
    """
    if images < FEWEST_IMAGES:
        raise TooFewMasks(
            f"{images or 'No'} training images have a lesion mask, {FEWEST_IMAGES} are needed",
            remedy="None: the finder of the other clinics comes with the model",
        )


def _refusal(why: str) -> FederationError:
    return FederationError(f"A clinic's sums for the lesion finder are refused: {why}", remedy=_REMEDY)
