"""Where a classifier's logits and probabilities are, however it ends."""

from __future__ import annotations

from typing import Literal, NamedTuple

import keras

from dermafed.shared.errors import ModelError
from dermafed.shared.model.graph import Graph, Step, functional, graph_of

Activation = Literal["softmax", "sigmoid", "linear"]

# By name, since a layer and the operation of the same name differ in class. At inference, these change the
# form of their input at most.
_SAME_VALUES = {
    "Dropout",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
    "StopGradient",
    "Cast",
    "Flatten",
    "Reshape",
    "Squeeze",
}
# Of logits, these make logits.
_OF_LOGITS = {"GlobalAveragePooling2D", "GlobalMaxPooling2D", "BatchNormalization", "Rescaling"}


class Head(NamedTuple):
    """The end of a classifier.

    Attributes:
        logits: (N, C).
        probabilities: (N, C): the classifier's output, or the softmax of its logits.
        activation: what makes probabilities of the logits; ``linear`` where the classifier ends in logits.
    """

    logits: keras.KerasTensor
    probabilities: keras.KerasTensor
    activation: Activation


def head_of(graph: Graph) -> Head:
    """Find logits and probabilities by the operations before the output, from the last to the first.

    Raises:
        ModelError: there is not one output (N, C), or it is unknown whether it is logits or probabilities.
    """
    output = graph.outputs[0]
    if len(graph.outputs) != 1 or len(output.shape) != 2 or output.shape[1] is None:
        names = ", ".join(tensor.name for tensor in graph.outputs)
        raise ModelError("A model to open has one output (N, C)", where=f"outputs {names}")
    after, step = _last_with_values(graph, output)
    kind = _activation(step.operation)
    if kind in ("softmax", "sigmoid"):
        logits = _without_activation(step)
        for same in reversed(after):
            logits = same.operation(logits)
        return Head(logits, output, "softmax" if kind == "softmax" else "sigmoid")
    if output.shape[1] == 1 or not _gives_logits(graph, step):
        raise ModelError(
            f"It is not known what makes probabilities of the output of layer '{step.operation.name}'",
            remedy="End the model in a softmax or a sigmoid, or in a dense layer of two or more logits",
        )
    softmax = keras.layers.Softmax(dtype="float32", name=f"softmax_of_{step.operation.name}")
    return Head(output, softmax(output), "linear")


def as_classifier(model: keras.Model) -> keras.Model:
    """The model, or one that shares its layers, with probabilities (N, C) as its output.

    Raises:
        ModelError: see :func:`dermafed.shared.model.graph.graph_of` and :func:`head_of`.
    """
    graph = graph_of(model)
    head = head_of(graph)
    has_names = not isinstance(functional(model).output, keras.KerasTensor)
    return graph.ending_in(head.probabilities) if has_names or head.activation == "linear" else model


def _last_with_values(graph: Graph, output: keras.KerasTensor) -> tuple[list[Step], Step]:
    """The last step that makes values of its own, and those after it, the last first."""
    makers = {id(tensor): step for step in graph.steps for tensor in step.outputs}
    after: list[Step] = []
    while (step := makers.get(id(output))) is not None:
        if not _keeps_values(step.operation):
            return after, step
        after.append(step)
        output = step.inputs[0]
    raise ModelError("The model's output is its input", where=output.name)


def _keeps_values(operation: keras.Operation) -> bool:
    kind = type(operation).__name__
    return kind in _SAME_VALUES or (kind == "Activation" and _activation(operation) == "linear")


def _gives_logits(graph: Graph, step: Step) -> bool:
    """Whether a step is a linear layer, or pools or normalises the outputs of one."""
    while type(step.operation).__name__ in _OF_LOGITS:
        _, step = _last_with_values(graph, step.inputs[0])
    return hasattr(step.operation, "kernel") and _activation(step.operation) in ("linear", "relu")


def _activation(operation: keras.Operation) -> str:
    own = getattr(operation, "activation", operation)
    return str(getattr(own, "__name__", type(own).__name__)).lower()


def _without_activation(step: Step) -> keras.KerasTensor:
    """The same before its activation: of a layer with weights, by a copy of it."""
    layer = step.operation
    if not getattr(layer, "weights", ()):
        return step.inputs[0]
    own = {"name": f"logits_of_{layer.name}", "activation": "linear"}
    linear = type(layer).from_config(layer.get_config() | own)
    linear.build(step.inputs[0].shape)
    linear.set_weights(layer.get_weights())
    return linear(step.inputs[0])
