"""A Keras model's layers with their tensors in that model's own graph.

``layer.output`` is of the layer's first use, which in a sequential model is an abandoned draft of the graph,
and for a model used as a layer a tensor inside of it.
"""

from __future__ import annotations

from typing import NamedTuple

import keras

from dermafed.shared.errors import ModelError


class Wired(NamedTuple):
    """A layer, the tensors it takes and the first it gives."""

    layer: keras.Layer
    inputs: list[keras.KerasTensor]
    output: keras.KerasTensor


def wired_layers(model: keras.Model) -> list[Wired]:
    """The layers of a model from its inputs to its outputs, input layers left out.

    Raises:
        ModelError: the model is neither functional nor sequential, or not built.
    """
    # Keras keeps a graph's nodes to itself; a sequential model keeps its graph beside.
    nodes = getattr(getattr(model, "_functional", model), "_nodes_by_depth", None)
    if nodes is None:
        raise ModelError(
            "Only functional and sequential Keras models, once built, can be explained", where=model.name
        )
    of = {id(node.operation): node for depth in nodes.values() for node in depth if not node.is_input}
    layers = [layer for layer in model.layers if id(layer) in of]
    return [Wired(layer, of[id(layer)].input_tensors, of[id(layer)].outputs[0]) for layer in layers]
