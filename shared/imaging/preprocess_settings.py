"""What preprocessing does to an image: the settings that travel with a model in its ``model.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Number, Settings

Fit = Literal["crop", "pad"]
Denoise = Literal["bm3d", "bm3d-package", "none"]
ImageSize = Annotated[
    int,
    Field(ge=32, le=2048, description="Side of the network's input in pixels"),
    Key(synthetic=128, pretrained=192, panel="Preprocessing", limit=512, asks="images of {} pixels"),
]

_SMALLEST_TILE = 8  # pixels: below, CLAHE equalises noise


def _default_grid(values: Mapping[str, Any]) -> int:
    return min(8, int(values.get("image_size", 128)) // _SMALLEST_TILE)


@dataclass(frozen=True, config=STRICT)
class PreprocessSettings(Settings):
    """The steps from a decoded image to the network's input size.

    Attributes:
        image_size: side of the square result, pixels.
        fit: how another aspect ratio becomes square: ``"crop"`` keeps the centred square, ``"pad"`` keeps
            everything and mirrors the image into the margin.
        denoise: ``"bm3d"``; ``"bm3d-package"``, the reference implementation, whose licence allows
            non-commercial use only; or ``"none"``.
        sigma: standard deviation of the noise per channel, 8-bit units; ``None`` estimates it per image.
        clahe: whether to equalise local contrast.
        clahe_clip: CLAHE's clip limit, as a multiple of a flat histogram's bin height.
        clahe_grid: CLAHE's tiles per side; by default 8, or fewer where tiles would be too small.

    Raises:
        SettingsError: a value of the wrong type or out of range.
    """

    section: ClassVar[str] = "preprocess"

    image_size: ImageSize = 128
    fit: Annotated[Fit, Field(description="How an image becomes square"), Key(panel="Preprocessing")] = "crop"
    denoise: Annotated[
        Denoise,
        Field(description="bm3d (ours), bm3d-package (the reference; no commercial use) or none"),
        Key(panel="Preprocessing"),
    ] = "bm3d"
    sigma: Annotated[
        Annotated[Number, Field(ge=0, le=100)] | None,
        Field(description="Standard deviation of the noise, 8-bit units"),
        Key(panel="Preprocessing", simulated=False, otherwise="estimated for each image", example=2.0),
    ] = None
    clahe: Annotated[bool, Field(description="Equalise local contrast"), Key(panel="Preprocessing")] = True
    clahe_clip: Annotated[
        Number,
        Field(ge=0.1, le=100, description="Clip limit of CLAHE, as a multiple of a flat histogram's height"),
        Key(panel="Preprocessing", simulated=False),
    ] = 2.0
    clahe_grid: Annotated[
        int,
        Field(ge=1, description="Tiles of CLAHE along a side"),
        Key(panel="Preprocessing", simulated=False, otherwise="8, or fewer for small images", example=8),
    ] = Field(default_factory=_default_grid)

    @model_validator(mode="after")
    def _tiles_are_not_too_small(self) -> Self:
        if self.clahe_grid > (most := self.image_size // _SMALLEST_TILE):
            raise SettingsError(
                f"clahe_grid is {self.clahe_grid}",
                where="clahe_grid",
                remedy=f"Give a whole number from 1 to {most}",
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types; equal settings give the same text."""
        sigma = None if self.sigma is None else float(self.sigma)
        return {**super().to_dict(), "sigma": sigma, "clahe_clip": float(self.clahe_clip)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings from :meth:`to_dict`.

        Every field must be there: with a default for a lost one, images would be preprocessed otherwise.

        Raises:
            SettingsError: a field is missing, unknown, of the wrong type or out of range.
        """
        if isinstance(values, Mapping):
            for name in cls.__pydantic_fields__:
                if name not in values:
                    raise SettingsError(
                        f"The key '{name}' is missing", where=f"{cls.section}.{name}", remedy="Give it"
                    )
        return cls.read(values)
