"""What defines a classifier's architecture, so that every clinic builds the same one."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import ImageSize
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.settings import STRICT, Key, Number, Settings

BatchNorm = Literal["fixed", "aggregate", "frozen", "local"]
Features = Literal["pooled", "blocks", "lesion"]

BLOCKS = 3
"""How many of the last blocks have statistics, with the features ``blocks`` and ``lesion``."""

Backbone = Literal[
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2S",
    "EfficientNetV2M",
    "EfficientNetV2L",
]


def backbone_name(name: Any) -> Any:
    """The backbone's own name, whatever the case of this one; of a name unlike all of them, itself.

    Raises:
        SettingsError: names the nearest, if it is like some of them.
    """
    if not isinstance(name, str):
        return name
    own, folded = {backbone.casefold(): backbone for backbone in get_args(Backbone)}, name.casefold()
    if folded not in own and (near := difflib.get_close_matches(folded, own)):
        remedy = f"The nearest are {', '.join(map(own.__getitem__, near))}"
        raise SettingsError(f"There is no backbone '{name}'", where="backbone", remedy=remedy)
    return own.get(folded, name)


def default_frozen_blocks(weights: str) -> int:
    """How many blocks are frozen by default: 4 with pretrained weights, else 0."""
    return 0 if weights in ("none", "lite0") else 4


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Architecture(Settings):
    """A classifier but for its classes.

    Attributes:
        backbone: an EfficientNet of ``keras.applications``, in any case.
        image_size: side of the square input in pixels, at least 32.
        batch_norm: what batch normalisation does in training:
            ``aggregate``: batch statistics, and the moving ones averaged like every weight;
            ``fixed``: the same in the run's first half, then every clinic trains with the averaged
            statistics, and they, scale and shift stay (FixBN, Zhong et al. 2023, arXiv:2303.06530);
            ``frozen``: the backbone keeps its pretrained statistics, scale and shift;
            ``local``: each clinic keeps its own (FedBN, Li et al. 2021, arXiv:2102.07623).
        frozen_blocks: how many of the backbone's first blocks are not trained (0 to 7).
        features: what the last layer reads of an image, see :mod:`dermafed.shared.model.image_features`.
        dropout: rate before the last layer.
        views_at_test: how many views of an image a prediction takes the mean of, see
            :mod:`dermafed.shared.model.mirrored_views`; training does not depend on it.
        metadata: whether the clinical metadata M_i (age, sex, body site) enters the model.
    """

    section: ClassVar[str] = "model"

    backbone: Annotated[
        Backbone, Field(description="An EfficientNet of keras.applications"), BeforeValidator(backbone_name)
    ] = "EfficientNetB0"
    image_size: ImageSize = 128
    batch_norm: Annotated[
        BatchNorm,
        Field(description="fixed (FixBN), aggregate, frozen, or local (FedBN)"),
        Key(synthetic="frozen"),
    ] = "fixed"
    frozen_blocks: Annotated[
        int,
        Field(ge=0, le=7, description="How many of the first blocks keep their weights"),
        Key(synthetic=7, otherwise="4 pretrained, else 0", example=4),
    ] = 0
    features: Annotated[
        Features,
        Field(description="Read by the last layer: pooled, blocks (statistics) or lesion (the same of it)"),
        Key(later=True, synthetic="blocks", pretrained="blocks"),
    ] = "pooled"
    dropout: Annotated[
        Number, Field(ge=0, lt=1, description="Dropout rate before the last layer"), Key(simulated=False)
    ] = 0.2
    views_at_test: Annotated[
        int,
        Field(ge=1, le=4, description="Views of an image, mirrored ones too, whose logits are averaged"),
        Key(later=True, synthetic=4, pretrained=2),
    ] = 1
    metadata: Annotated[
        bool,
        Field(description="Let age, sex and body site enter the model"),
        Key(limit=True, asks="clinical metadata"),
    ] = False


_MOST_CLASSES, _LONGEST_CLASS = 1000, 100


def _class_names(classes: Any) -> Any:
    """The names of the classes; ``paper`` stands for the paper's."""
    names = PAPER_CLASSES if classes == "paper" else classes
    if isinstance(names, str):
        raise SettingsError(
            f"There are no classes '{classes}'", where="classes", remedy="Write paper, or a list of names"
        )
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        return names  # its type is refused
    if len(set(names)) < len(names):
        raise SettingsError("A class is named twice", where="classes", remedy="Name each once")
    if len(names) < 2:
        raise SettingsError("A classifier needs at least two classes", where="classes", remedy="Name another")
    if len(names) > _MOST_CLASSES:
        raise SettingsError(
            f"There are {len(names)} classes", where="classes", remedy=f"Name at most {_MOST_CLASSES}"
        )
    if any(not 0 < len(name) <= _LONGEST_CLASS for name in names):
        remedy = f"Use 1 to {_LONGEST_CLASS} characters"
        raise SettingsError("The name of a class is empty or too long", where="classes", remedy=remedy)
    return names


@dataclass(frozen=True, config=STRICT)
class ModelSettings(Architecture):
    """A classifier: its architecture and its classes.

    Attributes:
        classes: class names, in the order of the model's outputs.
    """

    classes: Annotated[
        tuple[str, ...],
        Field(description="paper (melanoma, nevus, seborrheic_keratosis), or a list of names"),
        Key(example="paper"),
        BeforeValidator(_class_names),
    ]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return {"classes": list(self.classes), **super().to_dict()}
