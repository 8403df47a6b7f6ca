"""A classifier opened for explanations: images in; activation maps, logits and probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import keras
import numpy as np

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.maps import Float
from dermafed.shared.model.graph import Graph, Step, graph_of, has_maps
from dermafed.shared.model.head import Activation, head_of

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)
_HALF = ("float16", "bfloat16")

Score = Literal["logit", "probability"]


class Outputs(NamedTuple):
    """Outputs of a network for N images: logits and probabilities, float32 (N, C)."""

    logits: Float
    probabilities: Float

    def values(self, kind: Score) -> Float:
        """The logits or the probabilities."""
        return self.logits if kind == "logit" else self.probabilities


@dataclass(frozen=True, slots=True)
class Target:
    """The score to explain.

    Attributes:
        index: the class.
        against: a second class, whose score is subtracted: "why melanoma rather than nevus".
    """

    index: int
    against: int | None = None

    def score(self, values: Float) -> Float:
        """Pick the score, float32 (N,), out of logits or probabilities (N, C)."""
        return values @ self.one_hot(values.shape[1])

    def one_hot(self, classes: int) -> Float:
        """The score as weights of the classes: 1 for the class, -1 for the one against it; float32 (C,)."""
        weights = np.zeros(classes, np.float32)
        weights[self.index] += 1
        if self.against is not None:
            weights[self.against] -= 1
        return weights


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A classifier, opened at its last activation maps.

    Attributes:
        model: float32 images (N, H, W, 3) to activations (N, h, w, K), logits and probabilities (N, C).
        whole: the same with all inputs of the classifier.
        beside: as `model`, with one more output, where one was asked for.
        activation: see :class:`dermafed.shared.model.head.Head`.
        layer: the name of the layer whose activations these are.
        size: the images' height and width.
        cells: the maps' height and width.
        channels: K.
        classes: C.
        half: whether some of it calculates in 16 bits.
    """

    model: keras.Model
    whole: keras.Model
    beside: keras.Model | None
    activation: Activation
    layer: str
    size: tuple[int, int]
    cells: tuple[int, int]
    channels: int
    classes: int
    half: bool


def open_network(
    classifier: keras.Model, layer: str | None = None, beside: keras.KerasTensor | None = None
) -> Network:
    """Open a classifier at its last activation maps, or at those of a layer named.

    The network shares the classifier's layers. Inputs beside the image are set to zero, which is how
    :mod:`dermafed.shared.model.metadata` writes "unknown".

    Args:
        classifier: any functional or sequential Keras model with a convolutional layer, one image input of
            fixed size (N, H, W, 3), and one output (N, C) of logits, softmax or sigmoid. It may hold others.
        layer: the layer to explain by; by default the last with maps of more than one cell.
        beside: another tensor of the classifier's graph, which the same pass is to give.

    Raises:
        ModelError: the model has no such layer, or is of another form.
    """
    graph = graph_of(classifier)
    images, head = _image_input(graph), head_of(graph)
    chosen = _last_maps(graph, classifier.name) if layer is None else _named(graph, layer, classifier.name)
    outputs = [chosen.output, head.logits, head.probabilities]
    whole = graph.ending_in(outputs)
    fuller = None if beside is None else graph.ending_in([*outputs, beside])
    _, *cells, channels = chosen.output.shape
    return Network(
        model=_of_images(whole, images),
        whole=whole,
        beside=None if fuller is None else _of_images(fuller, images),
        activation=head.activation,
        layer=chosen.operation.name,
        size=(images.shape[1], images.shape[2]),
        cells=(cells[0], cells[1]),
        channels=channels,
        classes=head.logits.shape[-1],
        half=any(tensor.dtype in _HALF for step in graph.steps for tensor in step.outputs),
    )


def _image_input(graph: Graph) -> keras.KerasTensor:
    images = [tensor for tensor in graph.inputs if len(tensor.shape) == 4]
    others = [tensor for tensor in graph.inputs if len(tensor.shape) != 4]
    if len(images) != 1 or None in images[0].shape[1:] or images[0].shape[-1] != 3:
        shapes = ", ".join(str(tensor.shape) for tensor in graph.inputs)
        raise ModelError(
            "A model to explain takes one RGB image of fixed size (N, H, W, 3)", where=f"inputs {shapes}"
        )
    for other in others:
        if len(other.shape) != 2 or other.shape[1] is None:
            raise ModelError(
                f"Beside the image, a model takes numbers (N, M), not {other.shape}",
                where=f"input {other.name}",
            )
    return images[0]


def _last_maps(graph: Graph, model: str) -> Step:
    """The last step of (N, h, w, K) output, at or after a convolution."""
    steps = graph.steps
    for index in range(len(steps), 0, -1):
        if has_maps(steps[index - 1].output) and any(_convolves(step.operation) for step in steps[:index]):
            return _channels_last(steps[index - 1], steps[:index])
    closed = [step.operation.name for step in steps if isinstance(step.operation, keras.Model)]
    raise ModelError(
        "The model has no convolutional layer, so it has no activation maps to explain by",
        where=", ".join((model, *closed)),
        remedy="A nested model must be functional or sequential" if closed else "",
    )


def _channels_last(chosen: Step, before: Sequence[Step]) -> Step:
    for step in before:
        if getattr(step.operation, "data_format", None) == "channels_first":
            raise ModelError(
                f"The layer '{step.operation.name}' has its channels first",
                remedy="Build the model with data_format='channels_last'",
            )
    return chosen


def _named(graph: Graph, name: str, model: str) -> Step:
    choices = {step.operation.name: step for step in graph.steps if has_maps(step.output)}
    if name not in choices:
        raise ModelError(
            f"The model has no layer '{name}' with activation maps",
            where=model,
            remedy=f"The last of its layers with maps are {', '.join(list(choices)[-5:])}",
        )
    return choices[name]


def _convolves(layer: keras.Operation) -> bool:
    return any(isinstance(part, _CONVOLUTIONS) for part in _parts(layer))


def _parts(layer: keras.Operation) -> Iterator[keras.Operation]:
    yield layer
    for part in getattr(layer, "layers", ()):
        yield from _parts(part)


def _of_images(model: keras.Model, images: keras.KerasTensor) -> keras.Model:
    """The model with zeros in place of its inputs beside the image."""
    if len(model.inputs) == 1:
        return model
    image = keras.Input(images.shape[1:], name="image")
    zero = keras.ops.zeros_like(image[:, :1, 0, 0])
    inputs = [
        image if tensor is images else keras.ops.tile(zero, (1, tensor.shape[-1])) for tensor in model.inputs
    ]
    return keras.Model(image, model(inputs))
