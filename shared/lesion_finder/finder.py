"""The lesion finder: of each cell of an image, how much of it is lesion.

A linear function of the cell's features (:mod:`dermafed.shared.model.cells`), fitted by ridge
regression to the shares of the clinics' masks (Hoerl and Kennard 1970), in closed form from their sums:
federated, it is what all images in one place would give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError, ModelError
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums
from dermafed.shared.training.exact_head.ridge import ridge_head

RIDGE = 0.003
"""Of standardised features and the mean of squares; chosen on validation images of HAM10000."""

FORMAT = 1

PLACES = 6
"""How many of a cell's features, the last ones, tell where it is."""


@dataclass(frozen=True, slots=True, eq=False)
class LesionFinder:
    """Where the lesion is, by the maps of one model.

    Attributes:
        model: SHA-256 of the model's weights, 64 hexadecimal digits.
        kernel: float64 (K,).
        bias: of all cells.
        images: how many images with masks it was fitted to.
        clinics: at how many clinics.
    """

    model: str
    kernel: Floats
    bias: float
    images: int
    clinics: int

    @classmethod
    def of(cls, sums: FinderSums, model: str, clinics: int = 1) -> LesionFinder:
        """The finder of all clinics' sums.

        Args:
            sums: added up over the clinics.
            model: SHA-256 of the weights of the model that made the cells.
            clinics: their number.

        Raises:
            FederationError: there is no image.
        """
        as_head = HeadSums(sums.gram, sums.targets[:, None], np.array([sums.images]))
        head = ridge_head(as_head, RIDGE)
        return cls(model, head.kernel[:, 0], float(head.bias[0]), sums.images, clinics)

    def find(self, cells: NDArray[np.floating]) -> NDArray[np.float32]:
        """How much of each cell is lesion.

        Args:
            cells: of an image, float (G, G, K), or of several, (N, G, G, K), by
                :func:`dermafed.shared.model.cells.cell_model` of the same model.

        Returns:
            float32 (G, G) or (N, G, G), from 0 to 1.

        Raises:
            ModelError: the cells are of another model.
        """
        if cells.shape[-1] != len(self.kernel):
            raise ModelError(
                f"The lesion finder reads {len(self.kernel)} features of a cell, not {cells.shape[-1]}",
                remedy="Use the finder that was saved with this model",
            )
        shares = cells.astype(np.float64) @ self.kernel + self.bias
        return np.clip(shares, 0, 1).astype(np.float32)

    def flat(self) -> NDArray[np.float32]:
        """Its weights as they begin those of a model that reads the lesion, float32 (K + 1,).

        See :mod:`dermafed.shared.model.lesion_weights`: each block's layer has its maps' weights in pairs,
        of a cell and of the window around it; then those of the places, and the bias.
        """
        own, around = np.split(self.kernel[:-PLACES], 2)
        pairs = np.stack([own, around], axis=1).ravel()
        return np.concatenate([pairs, self.kernel[-PLACES:], [self.bias]]).astype(np.float32)

    def to_document(self) -> dict[str, Any]:
        """The finder as JSON types."""
        return {
            "format": FORMAT,
            "model_sha256": self.model,
            "kernel": self.kernel.tolist(),
            "bias": self.bias,
            "images": self.images,
            "clinics": self.clinics,
        }

    @classmethod
    def from_document(cls, values: Mapping[str, Any]) -> LesionFinder:
        """Read what :meth:`to_document` wrote.

        Raises:
            FederationError: a field is missing, or none that any images could give.
        """
        try:
            if values["format"] != FORMAT:
                raise ValueError("another format")
            kernel, bias = np.array(values["kernel"], np.float64), float(values["bias"])
            finder = cls(
                str(values["model_sha256"]), kernel, bias, int(values["images"]), int(values["clinics"])
            )
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise FederationError("a field is missing, or of another kind") from error
        if kernel.ndim != 1 or not kernel.size or not np.isfinite(kernel).all() or not math.isfinite(bias):
            raise FederationError("its numbers are not finite, or of another shape")
        if not 1 <= finder.clinics <= finder.images:
            raise FederationError("it comes from no images")
        return finder
