"""What preprocessing does to an image: the settings that travel with a model in its ``model.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from dermafed.shared.errors import SettingsError

Fit = Literal["crop", "pad"]
Denoise = Literal["bm3d", "bm3d-package", "none"]


@dataclass(frozen=True, slots=True)
class PreprocessSettings:
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
        clahe_grid: CLAHE's tiles per side.

    Raises:
        SettingsError: a value of the wrong type or out of range.
    """

    image_size: int = 224
    fit: Fit = "crop"
    denoise: Denoise = "bm3d"
    sigma: float | None = None
    clahe: bool = True
    clahe_clip: float = 2.0
    clahe_grid: int = 8

    def __post_init__(self) -> None:
        _whole("image_size", self.image_size, 32, 2048)
        _choice("fit", self.fit, get_args(Fit))
        _choice("denoise", self.denoise, get_args(Denoise))
        if self.sigma is not None:
            _number("sigma", self.sigma, 0, 100)
        _choice("clahe", self.clahe, (True, False))
        _number("clahe_clip", self.clahe_clip, 0.1, 100)
        _whole("clahe_grid", self.clahe_grid, 1, self.image_size // 8)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as JSON types; equal settings give the same text."""
        sigma = None if self.sigma is None else float(self.sigma)
        return {**asdict(self), "sigma": sigma, "clahe_clip": float(self.clahe_clip)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PreprocessSettings:
        """Rebuilds settings from :meth:`to_dict`'s result.

        Every field must be there: a default filled in for a lost one would judge images by another recipe.

        Raises:
            SettingsError: a field is missing, unknown, of the wrong type or out of range.
        """
        if not isinstance(values, Mapping):
            raise SettingsError("Preprocessing settings must be an object", where="preprocess")
        names = {field.name for field in fields(cls)}
        for name in sorted(names ^ set(values), key=str):
            fault = "is missing" if name in names else "is unknown"
            remedy = f"The fields are {', '.join(sorted(names))}"
            raise SettingsError(f"The field {name!r} {fault}", where="preprocess", remedy=remedy)
        return cls(**values)


def _whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise _refusal(name, value, f"a whole number from {low} to {high}")


def _number(name: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and low <= value <= high):  # type: ignore[arg-type, operator]
        raise _refusal(name, value, f"a number from {low} to {high}")


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in allowed):
        raise _refusal(name, value, f"one of {', '.join(map(str, allowed))}")


def _refusal(name: str, value: object, allowed: str) -> SettingsError:
    what = f"{name} is {value!r}"
    return SettingsError(what, where=f"preprocess.{name}", remedy=f"It must be {allowed}")
