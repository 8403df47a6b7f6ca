"""The operations of a functional or sequential model, those of nested models among them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from dermafed.shared.errors import ModelError

_CALLS = ("Functional.call", "Sequential.call")


class Step(NamedTuple):
    """One operation, a layer or a function of :mod:`keras.ops`, with its tensors in one graph."""

    operation: keras.Operation
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]

    @property
    def output(self) -> keras.KerasTensor:
        """The first output."""
        return self.outputs[0]


class Graph(NamedTuple):
    """The steps of a model from its inputs to its outputs, input layers left out."""

    steps: list[Step]
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]

    def ending_in(self, outputs: keras.KerasTensor | list[keras.KerasTensor]) -> keras.Model:
        """The model from the same inputs to these tensors."""
        return keras.Model(self.inputs if len(self.inputs) > 1 else self.inputs[0], outputs)


def graph_of(model: keras.Model) -> Graph:
    """Unroll a model, so that what lies within nested models can be reached.

    A nested model that ends in maps (N, h, w, K) stays one step.

    Raises:
        ModelError: the model is neither functional nor sequential, or not built.
    """
    if not _is_graph(model):
        raise ModelError(
            "Only functional and sequential Keras models, once built, can be opened", where=model.name
        )
    steps: list[Step] = []
    inputs = list(functional(model).inputs)
    return Graph(steps, inputs, _unroll(model, inputs, steps))


def has_maps(tensor: keras.KerasTensor) -> bool:
    """Whether a tensor is of maps (N, h, w, K) with more than one cell; pooled 1x1 maps have no place."""
    shape = tensor.shape
    return len(shape) == 4 and None not in shape[1:] and min(shape[1:3]) > 1


def functional(model: keras.Model) -> Any:
    """The functional form of a model: a sequential one has it in an attribute."""
    return getattr(model, "_functional", None) or model


def _is_graph(operation: keras.Operation) -> bool:
    return hasattr(functional(operation), "_nodes_by_depth") and type(operation).call.__qualname__ in _CALLS


def _unroll(
    model: keras.Model, inputs: list[keras.KerasTensor], steps: list[Step]
) -> list[keras.KerasTensor]:
    """Append the steps of a model that is applied to these inputs, and return its outputs."""
    graph = functional(model)
    given = [_cast(*pair, steps) for pair in zip(inputs, graph.inputs, strict=True)]
    tensors = dict(zip(map(id, graph.inputs), given, strict=True))
    # Keras has no public access to a graph's nodes.
    for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if not node.is_input:
                outputs = _apply(node, tensors, steps)
                tensors.update(zip(map(id, node.outputs), outputs, strict=True))
    return [tensors[id(output)] for output in graph.outputs]


def _apply(node: Any, tensors: dict[int, keras.KerasTensor], steps: list[Step]) -> list[keras.KerasTensor]:
    operation, inputs = node.operation, [tensors[id(own)] for own in node.input_tensors]
    args, kwargs = node.arguments.fill_in(tensors)
    kwargs.pop("training", None)  # whoever calls the graph decides, as in the model itself
    if _is_graph(operation) and not has_maps(node.outputs[0]):
        return _unroll(operation, inputs, steps)
    named, outputs = _named(operation, steps), list(node.outputs)
    if named is not operation or any(map(operator.is_not, inputs, node.input_tensors)):
        outputs = keras.tree.flatten(named(*args, **kwargs))
    steps.append(Step(operation, inputs, outputs))
    return outputs


def _named(operation: keras.Operation, steps: list[Step]) -> keras.Operation:
    others = (step.operation for step in steps if step.operation is not operation)
    return _Renamed(operation, steps) if operation.name in {other.name for other in others} else operation


def _cast(tensor: keras.KerasTensor, like: keras.KerasTensor, steps: list[Step]) -> keras.KerasTensor:
    """What a nested model does first with its input."""
    if tensor.dtype == like.dtype:
        return tensor
    cast = Cast(lambda values: keras.ops.cast(values, like.dtype), steps)
    steps.append(Step(cast, [tensor], [cast(tensor)]))
    return steps[-1].output


class _Renamed(keras.layers.Layer):  # type: ignore[misc]
    """An operation by a name of its own.

    The names of all operations in a graph differ. Those in nested models may not; and Keras' new names count
    from 0 in every process, so that they may be those of a loaded layer.
    """

    def __init__(self, operation: Callable[..., Any], steps: list[Step]) -> None:
        super().__init__(name=f"unrolled_{len(steps)}", autocast=False)
        self.operation = operation

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.operation(*args, **kwargs)


class Cast(_Renamed):
    """Another type of the same numbers."""
