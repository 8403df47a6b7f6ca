"""How often the server looks for the replies of an exchange."""

from __future__ import annotations

import time
from collections.abc import Iterable

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.run import Run

from dermafed.server.flower.run_grid import RunGrid
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.simulation.engines.local import become_server_task

CONTENT = RecordDict({"config": ConfigRecord({"round": 1})})


class LateGrid(RunGrid):
    """All clinics reply after some seconds."""

    def __init__(self, seconds: float) -> None:
        self.looks, self._at = 0, time.monotonic() + seconds
        self._asked: dict[str, Message] = {}

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def get_nodes(self) -> Iterable[NodeInfo]:
        return []

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        new = {str(len(self._asked)): message for message in messages}
        self._asked |= new
        return list(new)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        (key,) = message_ids
        self.looks += 1
        return [Message(CONTENT, reply_to=self._asked[key])] if time.monotonic() >= self._at else []


def looks(clinics: int) -> float:
    """For each clinic, while all of them work for half a second."""
    become_server_task()
    grid, names = LateGrid(0.5), {number: f"clinic {number}" for number in range(clinics)}
    found = exchange(
        grid, Assignment(MessageType.TRAIN, 1, CONTENT), names, 60.0, lambda clinic, content: 0.0
    )
    assert sorted(found.replied) == sorted(names.values())
    return grid.looks / clinics


def test_the_more_clinics_work_the_less_often_each_is_looked_for() -> None:
    assert looks(1000) <= 8  # every 0.1 s and longer; each look for one of a few is within 0.03 s
    assert looks(2) > 8
