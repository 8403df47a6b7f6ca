"""Over a model's parameters: one update on its way from a clinic into the model, and the model's file.

The update is a vector of random numbers, which no layer has trained. On the wire it is cut into the objects
that Flower sends, each with its hash, and put together again; TLS and network are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from flwr.app import RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from benchmarks.cost.idle_trainer import IMAGES
from benchmarks.growth.cost import Cost, cost
from dermafed.server.rounds.checkpoint import RunState, load_state, save_state
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.trained_models import TrainedModels
from dermafed.shared.compression.coded_change import found_change, rounded_model
from dermafed.shared.compression.selection import Selection
from dermafed.shared.protocol.messages import decode_update, encode_update
from dermafed.shared.training.trainer import FloatVector, Update

VARIABLE = "parameters"
SIZES = (1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000)
LARGER = 5
_BITS = 8
_MOST_CODED = 20_000_000  # coding takes some 80 bytes of memory for each parameter
_MODEL = "0" * 64  # SHA-256 of the model that the change is of; it only seeds the rotation


def costs(parameters: int) -> Iterator[tuple[str, Cost]]:
    """The cost of each part for so many parameters."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(parameters, np.float32)
    yield from _sent(weights)
    if parameters <= _MOST_CODED:
        yield from _coded(weights, rng)


def _sent(weights: FloatVector) -> Iterator[tuple[str, Cost]]:
    """An update from its clinic to the server's file."""
    update = Update(weights, IMAGES, {"loss": 1.0})
    content = encode_update(update, 0.0)
    yield "encode an update", cost(lambda _: encode_update(update, 0.0), _nothing)
    yield "to the wire", cost(lambda _: _to_wire(content), _nothing)
    inflate = partial(inflate_object_from_contents, content.object_id)
    yield "from the wire", cost(inflate, partial(_to_wire, content))
    yield "decode an update", cost(lambda _: decode_update(content, weights.size), _nothing)
    with TemporaryDirectory() as name:
        folder, state = Path(name), RunState(1, weights, {}, (), {})
        yield "add up one update", cost(partial(_add_up, content), partial(_models, weights, folder))
        yield "save the model", cost(lambda _: save_state(folder, state), _nothing)
        yield "load the model", cost(lambda _: load_state(folder), _nothing)


def _coded(weights: FloatVector, rng: np.random.Generator) -> Iterator[tuple[str, Cost]]:
    """A change of every weight in few bits."""
    every = np.ones(weights.size, np.bool_)
    selection = Selection.of(every, every, _BITS)
    after = weights * np.float32(1.001)

    def rounded() -> FloatVector:
        return rounded_model(weights, after, selection, _MODEL, _Uniform(rng))

    yield f"round a change to {_BITS} bits", cost(lambda _: rounded(), _nothing)
    model = rounded()
    yield f"find its {_BITS} bits", cost(lambda _: found_change(weights, model, selection, _MODEL), _nothing)


class _Uniform:
    """Random numbers in [0, 1), as the coder takes them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def uniform(self, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return self._rng.random(count)


def _nothing() -> None:
    return None


def _to_wire(content: RecordDict) -> dict[str, bytes]:
    return {key: part.deflate() for key, part in get_all_nested_objects(content).items()}


def _models(weights: FloatVector, folder: Path) -> TrainedModels:
    parts = np.zeros(weights.size, np.uint8)
    return TrainedModels(weights, RoundRules(1, 1), Screen(parts), None, folder)


def _add_up(content: RecordDict, models: TrainedModels) -> None:
    with models:
        models.accept("clinic", content)
        models.compare()
        models.result()
