"""What defines a classifier's architecture, so that every site builds the same one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dermafed.shared.errors import SettingsError

BatchNorm = Literal["fixed", "aggregate", "frozen", "local"]

BACKBONES = (
    *(f"EfficientNetB{i}" for i in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The architecture of a classifier.

    Attributes:
        classes: class names, in the order of the model's outputs.
        backbone: an EfficientNet of ``keras.applications``.
        image_size: side of the square input in pixels, at least 32.
        batch_norm: what batch normalisation does in training:
            ``aggregate``: batch statistics, and the moving ones averaged like every weight;
            ``fixed``: the same in the run's first half, then every clinic trains with the averaged
            statistics, and they, scale and shift stay (FixBN, Zhong et al. 2023, arXiv:2303.06530);
            ``frozen``: the backbone keeps its pretrained statistics, scale and shift;
            ``local``: each clinic keeps its own (FedBN, Li et al. 2021, arXiv:2102.07623).
        frozen_blocks: how many of the backbone's first blocks are not trained (0 to 7).
        dropout: rate before the last layer.
        metadata: whether the clinical metadata M_i (age, sex, site) enters the model.
    """

    classes: tuple[str, ...]
    backbone: str = "EfficientNetB0"
    image_size: int = 224
    batch_norm: BatchNorm = "aggregate"
    frozen_blocks: int = 0
    dropout: float = 0.2
    metadata: bool = False

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise SettingsError(
                f"There is no backbone '{self.backbone}'",
                where="backbone",
                remedy=f"Use one of {_list(BACKBONES)}",
            )
        if self.batch_norm not in get_args(BatchNorm):
            raise SettingsError(
                f"There is no batch normalisation mode '{self.batch_norm}'",
                where="batch_norm",
                remedy=f"Use one of {_list(get_args(BatchNorm))}",
            )
        _require(len(self.classes) >= 2, "A classifier needs at least two classes", "classes")
        _require(self.image_size >= 32, f"An image size of {self.image_size} px is too small", "image_size")
        _require(0 <= self.frozen_blocks <= 7, "Blocks 1 to 7 can be frozen", "frozen_blocks")
        _require(0 <= self.dropout < 1, f"A dropout rate of {self.dropout} is impossible", "dropout")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelSettings:
        """The settings from :meth:`to_dict`.

        Raises:
            SettingsError: a field is unknown, missing or impossible.
        """
        try:
            return cls(**{**values, "classes": tuple(values["classes"])})
        except (TypeError, KeyError) as error:
            raise SettingsError(f"These are no model settings: {error}", where="model") from error


def _require(condition: bool, what: str, where: str) -> None:
    if not condition:
        raise SettingsError(what, where=where)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
