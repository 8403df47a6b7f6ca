"""The price of a plan at a clinic: memory, time and bytes, estimated from its keys before anything is built.

Weights and multiply-adds are those of Tan and Le (2019, arXiv:1905.11946, table 2; 2021, arXiv:2104.00298,
table 7), activations those of the same networks' layers. Both grow with the square of the image's side.
Where a recipe has views, the first round is the dearest: it computes their features.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from dermafed.shared.metrics.evaluation import BINS
from dermafed.shared.model.front_size import features_of, share_of_work
from dermafed.shared.model.model_settings import Backbone, ModelSettings
from dermafed.shared.settings import STRICT, Key, Number, Settings
from dermafed.shared.training.recipe import Recipe


class Cost(NamedTuple):
    """Of a backbone at one side of the image: weights, multiply-adds and activations in millions."""

    side: int
    weights: float
    work: float
    activations: float


COSTS: dict[Backbone, Cost] = {
    "EfficientNetB0": Cost(224, 4.05, 390, 6.8),
    "EfficientNetB1": Cost(240, 6.58, 700, 10.9),
    "EfficientNetB2": Cost(260, 7.77, 1000, 13.8),
    "EfficientNetB3": Cost(300, 10.8, 1800, 23.8),
    "EfficientNetB4": Cost(380, 17.7, 4200, 49.5),
    "EfficientNetB5": Cost(456, 28.5, 9900, 98.9),
    "EfficientNetB6": Cost(528, 41.0, 19_000, 167),
    "EfficientNetB7": Cost(600, 64.1, 37_000, 290),
    "EfficientNetV2B0": Cost(224, 5.92, 720, 4.6),
    "EfficientNetV2B1": Cost(240, 6.93, 1200, 7.6),
    "EfficientNetV2B2": Cost(260, 8.77, 1700, 9.9),
    "EfficientNetV2B3": Cost(300, 12.9, 3000, 15.7),
    "EfficientNetV2S": Cost(384, 20.3, 8800, 35.1),
    "EfficientNetV2M": Cost(480, 53.2, 24_000, 133),
    "EfficientNetV2L": Cost(480, 118, 53_000, 245),
}

_BASE_GB = 0.8  # of TensorFlow itself
_WEIGHTS_IN_MEMORY = 6  # the model, its gradient, the optimiser's two moments, the message, the model before
_ACTIVATIONS_IN_MEMORY = 4  # before and after batch normalisation and swish
_FLOPS = 20e9  # a second, on two cores: 27 images of 128 pixels are trained by EfficientNetB0
_FORWARD = 2
_TRAINING = 6  # operations for one multiply-add: forward, and twice backward
_IMAGES = 1000
_BYTES = 4  # of a float32
_SAVED_BYTES = 2  # of a feature on the disk


@dataclass(frozen=True, config=STRICT)
class Price(Settings):
    """What a plan costs a clinic, about.

    Attributes:
        memory_gb: memory of a training step.
        minutes: a round of a clinic with 1,000 images on two cores.
        message_mb: the largest message.
        disk_gb: features on the disk, of a clinic with 1,000 images.
    """

    section: ClassVar[str] = "price"

    memory_gb: Annotated[Number, Field(ge=0), Key(limit=16, asks="{:.1f} GB of memory")]
    minutes: Annotated[Number, Field(ge=0), Key(limit=240, asks="{:.1f} minutes a round for 1,000 images")]
    message_mb: Annotated[Number, Field(ge=0), Key(limit=300, asks="messages of {:.0f} MB")]
    disk_gb: Annotated[
        Number,
        Field(ge=0),
        Key(limit=5, asks="{:.1f} GB of disk for the features of 1,000 images"),
    ] = 0.0


def price_of(model: ModelSettings, recipe: Recipe) -> Price:
    """The price of a plan with this model and recipe."""
    cost, classes = COSTS[model.backbone], len(model.classes)
    scale = (model.image_size / cost.side) ** 2
    images = recipe.epochs * _IMAGES if recipe.steps is None else recipe.steps * recipe.batch_size
    activations = recipe.batch_size * scale * cost.activations * _ACTIVATIONS_IN_MEMORY
    counts = 8 * classes * (classes + 2 * BINS)  # of an evaluation, in int64
    return Price(
        memory_gb=_BASE_GB + _BYTES * (cost.weights * _WEIGHTS_IN_MEMORY + activations) / 1000,
        minutes=_operations(model, recipe, images) * cost.work * 1e6 * scale / _FLOPS / 60,
        message_mb=max(_BYTES * cost.weights, counts / 1e6),
        disk_gb=recipe.views * _IMAGES * features_of(model) * _SAVED_BYTES / 1e9,
    )


def _operations(model: ModelSettings, recipe: Recipe, images: float) -> float:
    """Operations of the dearest round for each multiply-add of the network."""
    if not recipe.views:
        return images * _TRAINING
    front = share_of_work(model)
    return images * _TRAINING * (1 - front) + recipe.views * _IMAGES * _FORWARD * front


@dataclass(frozen=True, config=STRICT)
class RoundOfWork(Settings):
    """The round of a plan that does the least at a clinic: what it sends says most of single images.

    Attributes:
        steps: its steps.
        images: how many images it trains on.
    """

    section: ClassVar[str] = "round"

    steps: Annotated[int, Field(ge=1), Key(least=1, asks="rounds of {} steps")]
    images: Annotated[int, Field(ge=0), Key(least=8, asks="a round on {} images")]


def least_round(recipe: Recipe, rounds: int, images: int) -> RoundOfWork:
    """The least work of any round at a clinic with so many training images.

    Example:
        17 images in batches of 16 are steps of 16 images and of 1; at a step a round, that is 1 image.
    """
    size = recipe.batch_size
    in_epoch = max(1, -(-images // size))
    last = images - (in_epoch - 1) * size
    work = []
    for round in range(1, rounds + 1):
        steps = recipe.steps_of_round(round, in_epoch)
        lasts = steps.stop // in_epoch - steps.start // in_epoch
        work.append((len(steps), min(images, (len(steps) - lasts) * size + lasts * last)))
    return RoundOfWork(min(steps for steps, _ in work), min(seen for _, seen in work))
