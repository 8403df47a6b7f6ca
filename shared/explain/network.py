"""A classifier opened for explanations: images in; activation maps, logits and probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import keras
import numpy as np

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.maps import Float

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)
_PROBABILITIES = {"softmax", "sigmoid"}


Score = Literal["logit", "probability"]


class Outputs(NamedTuple):
    """Outputs of a network for N images: logits and probabilities, float32 (N, C)."""

    logits: Float
    probabilities: Float


@dataclass(frozen=True, slots=True)
class Target:
    """The score to explain.

    Attributes:
        index: the class.
        against: a second class, whose score is subtracted: "why melanoma rather than nevus".
    """

    index: int
    against: int | None = None

    def score(self, outputs: Outputs, kind: Score) -> Float:
        """Pick the score out of logits and probabilities (N, C).

        Returns:
            float32 (N,).
        """
        values = outputs.logits if kind == "logit" else outputs.probabilities
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
        layer: the name of the layer whose activations these are.
        size: the images' height and width.
        cells: the maps' height and width.
        channels: K.
        classes: C.
    """

    model: keras.Model
    layer: str
    size: tuple[int, int]
    cells: tuple[int, int]
    channels: int
    classes: int


def open_network(classifier: keras.Model, layer: str | None = None) -> Network:
    """Open a classifier at its last activation maps, or at those of a layer named.

    The network shares the classifier's layers. Inputs beside the image are set to zero, which is how
    :mod:`dermafed.shared.model.metadata` writes "unknown".

    Args:
        classifier: any functional or sequential Keras model with a convolutional layer, one image input of
            fixed size (N, H, W, 3), and one output (N, C) of logits, softmax or sigmoid.
        layer: the layer to explain by; by default the last with maps of more than one cell.

    Raises:
        ModelError: the model has no such layer, or is of another form.
    """
    wired = connected_layers(classifier)
    images = _image_input(classifier)
    chosen = _last_maps(wired, classifier.name) if layer is None else _named(wired, layer, classifier.name)
    outputs = [chosen.output, *_scores(wired, classifier.outputs[0])]
    if len(classifier.inputs) == 1:
        model = keras.Model(images, outputs)
    else:
        model = _without_other_inputs(keras.Model(classifier.inputs, outputs), images)
    _, *cells, channels = chosen.output.shape
    size = (images.shape[1], images.shape[2])
    return Network(model, chosen.layer.name, size, (cells[0], cells[1]), channels, outputs[1].shape[-1])


class ConnectedLayer(NamedTuple):
    """A layer with its input tensors and its first output, in the graph of one model.

    ``layer.output`` belongs to the layer's first use: in a sequential model a discarded draft of the graph,
    and in a nested model a tensor inside of it.
    """

    layer: keras.Layer
    inputs: list[keras.KerasTensor]
    output: keras.KerasTensor


def connected_layers(model: keras.Model) -> list[ConnectedLayer]:
    """The layers of a model from its inputs to its outputs, input layers left out.

    Raises:
        ModelError: the model is neither functional nor sequential, or not built.
    """
    # Keras has no public access to a graph's nodes; a sequential model has its graph in an attribute.
    nodes = getattr(getattr(model, "_functional", model), "_nodes_by_depth", None)
    if nodes is None:
        raise ModelError(
            "Only functional and sequential Keras models, once built, can be explained", where=model.name
        )
    of = {id(node.operation): node for depth in nodes.values() for node in depth if not node.is_input}
    layers = [layer for layer in model.layers if id(layer) in of]
    return [ConnectedLayer(layer, of[id(layer)].input_tensors, of[id(layer)].outputs[0]) for layer in layers]


def _image_input(classifier: keras.Model) -> keras.KerasTensor:
    images = [tensor for tensor in classifier.inputs if len(tensor.shape) == 4]
    if len(images) != 1 or None in images[0].shape[1:] or images[0].shape[-1] != 3:
        shapes = ", ".join(str(tensor.shape) for tensor in classifier.inputs)
        raise ModelError(
            "A model to explain takes one RGB image of fixed size (N, H, W, 3)", where=f"inputs {shapes}"
        )
    if len(classifier.outputs) != 1 or len(classifier.outputs[0].shape) != 2:
        raise ModelError("A model to explain has one output (N, C)", where=classifier.name)
    return images[0]


def _last_maps(wired: Sequence[ConnectedLayer], model: str) -> ConnectedLayer:
    """The last layer of (N, h, w, K) output, at or after a convolution; pooled 1x1 maps have no place."""
    for index in range(len(wired), 0, -1):
        if _has_maps(wired[index - 1]) and any(_convolves(one.layer) for one in wired[:index]):
            return wired[index - 1]
    raise ModelError(
        "The model has no convolutional layer, so it has no activation maps to explain by", where=model
    )


def _named(wired: Sequence[ConnectedLayer], name: str, model: str) -> ConnectedLayer:
    choices = {one.layer.name: one for one in wired if _has_maps(one)}
    if name not in choices:
        raise ModelError(
            f"The model has no layer '{name}' with activation maps",
            where=model,
            remedy=f"The last of its layers with maps are {', '.join(list(choices)[-5:])}",
        )
    return choices[name]


def _has_maps(one: ConnectedLayer) -> bool:
    shape = one.output.shape
    return len(shape) == 4 and None not in shape[1:] and min(shape[1:3]) > 1


def _convolves(layer: keras.Layer) -> bool:
    return any(isinstance(part, _CONVOLUTIONS) for part in _parts(layer))


def _parts(layer: keras.Layer) -> Iterator[keras.Layer]:
    yield layer
    for part in getattr(layer, "layers", ()):
        yield from _parts(part)


def _scores(
    wired: Sequence[ConnectedLayer], output: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Logits and probabilities, whichever of the two the classifier ends with."""
    last, (before, *_), _ = next(one for one in reversed(wired) if one.output is output)
    kind = getattr(getattr(last, "activation", None), "__name__", "linear")
    if isinstance(last, keras.layers.Softmax) or (
        isinstance(last, keras.layers.Activation) and kind in _PROBABILITIES
    ):
        return before, output
    if isinstance(last, keras.layers.Dense) and kind in _PROBABILITIES:
        return _linear(last, before.shape)(before), output
    return output, keras.ops.softmax(output)


def _linear(dense: keras.layers.Dense, shape: tuple[int | None, ...]) -> keras.Layer:
    """The same layer before its activation, with a copy of its weights."""
    linear = keras.layers.Dense(dense.units, use_bias=dense.use_bias, dtype=dense.dtype_policy)
    linear.build(shape)
    linear.set_weights(dense.get_weights())
    return linear


def _without_other_inputs(model: keras.Model, images: keras.KerasTensor) -> keras.Model:
    image = keras.Input(images.shape[1:], name="image")
    zero = keras.ops.zeros_like(image[:, :1, 0, 0])
    inputs = [
        image if tensor is images else keras.ops.tile(zero, (1, tensor.shape[-1])) for tensor in model.inputs
    ]
    return keras.Model(image, model(inputs))
