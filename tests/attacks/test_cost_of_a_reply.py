"""How many bytes one hostile clinic costs the server, on its disk and in its memory: see docs/threats.md."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message, RecordDict
from flwr.proto.fleet_pb2 import PushMessagesResponse
from numpy.typing import NDArray

from dermafed.server.coordinator.listener import listening
from dermafed.server.flower.expected_replies import LARGEST_COUNTS, LARGEST_ENVELOPE
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.protocol.messages import decode_update, encode_update
from dermafed.shared.training.trainer import Update
from tests.attacks.wire import Place, objects_in

PARAMETERS = 1_000_000
MODEL = 4 * PARAMETERS
WEIGHTS = np.random.default_rng(1).normal(size=PARAMETERS).astype(np.float32)
SLACK = 2**20  # of the server's own
KINDS = {"train": MODEL + LARGEST_ENVELOPE, "query.offer": LARGEST_COUNTS}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def port(place: Place) -> Iterator[int]:
    with place.public() as port:
        yield port


@pytest.fixture
def stock(place: Place) -> Iterator[int]:
    with listening(place.stock, "127.0.0.1", 0, place.certificate) as port:
        yield port


def on_disk(place: Place) -> int:
    return sum(path.stat().st_size for path in (place.folder / "objects").iterdir())


def flood(place: Place, gate: int, run_id: int, message: Message, most: int) -> int:
    """Send more than twice as much as is taken in reply to a message, and a second reply; what was stored."""
    stored = 0
    for arrays in (14, 1):
        content = to_arrays(**junk(arrays, most // 6 - 1000))
        reply = Message(RecordDict({"more": content}), reply_to=message)
        answer = place.announce(0, gate, reply)
        session = PushMessagesResponse.FromString(answer.content).session_id if answer.is_success else ""
        for name, data in objects_in(reply).items() if session else ():
            if place.send(0, gate, run_id, session, name, data) is True:
                stored += len(data)
    return stored


def junk(arrays: int, size: int) -> dict[str, NDArray[np.uint8]]:
    random = np.random.default_rng(arrays)
    return {f"a{i}": random.integers(0, 256, size, np.uint8) for i in range(arrays)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_takes_the_stated_bytes_of_the_disk(place: Place, port: int, stock: int, kind: str) -> None:
    """At most all that is taken, once; and no more in a later round."""
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        for gate, held in ((port, True), (port, True), (stock, False)):
            key, message = place.asked(grid, 0, kind, WEIGHTS)
            stored = flood(place, gate, run_id, message, KINDS[kind])
            assert (0.8 * KINDS[kind] < stored <= KINDS[kind]) == held
            assert (on_disk(place) <= MODEL + KINDS[kind] + SLACK) == held
            list(grid.pull_messages([key]))


def test_a_reply_takes_the_stated_bytes_of_the_memory(place: Place, port: int) -> None:
    """Three times the model, while it is read; a server of its own knows no other clinic's meanwhile."""
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        key, message = place.asked(grid, 0, "train", WEIGHTS)
        reply = Message(encode_update(Update(WEIGHTS + 1, 3, {}), 1.0), reply_to=message)
        answer = PushMessagesResponse.FromString(place.announce(0, port, reply).content)
        for name, data in objects_in(reply).items():
            assert place.send(0, port, run_id, answer.session_id, name, data) is True
        del message, reply, data
        tracemalloc.start()
        try:
            (arrived,) = grid.pull_messages([key])
            update, _ = decode_update(arrived.content, PARAMETERS)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (update.weights == WEIGHTS + 1).all()
        assert 2 * MODEL < peak <= 3 * (MODEL + LARGEST_ENVELOPE) + SLACK
