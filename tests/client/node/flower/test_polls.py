"""How often a node calls: by what the server says, and by a clock that the test turns."""

from __future__ import annotations

import pytest
from flwr.proto.fleet_pb2 import PullMessagesResponse, Reconnect

from dermafed.client.node.flower import polls as module
from dermafed.client.node.flower.polls import POLL_SECONDS, Polls

HELD = PullMessagesResponse(reconnect=Reconnect(reconnect=1))


class Clock:
    """Seconds that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_a_node_that_was_kept_waiting_calls_again_at_once() -> None:
    polls = Polls()
    assert polls.pause() == POLL_SECONDS
    polls.call(lambda: HELD)
    assert polls.pause() == 0.0
    polls.call(PullMessagesResponse)  # of a server that keeps nobody waiting
    assert polls.pause() == POLL_SECONDS
    polls.call(lambda: HELD)
    with pytest.raises(ConnectionError):
        polls.call(failing)
    assert polls.pause() == POLL_SECONDS


def failing() -> PullMessagesResponse:
    raise ConnectionError


def test_a_node_that_calls_sends_no_heartbeat_and_one_that_works_each_second(clock: Clock) -> None:
    polls = Polls()
    assert polls.needs_beat()  # it has not called yet
    for _ in range(25):
        clock.now += 1.0
        polls.call(lambda: HELD)
        assert not polls.needs_beat()
    clock.now += 0.9
    assert not polls.needs_beat()
    for _ in range(3):
        clock.now += 1.0
        assert polls.needs_beat()


def test_a_server_that_keeps_no_call_waiting_gets_a_heartbeat_every_ten_seconds(clock: Clock) -> None:
    polls, beats = Polls(), []
    assert polls.needs_beat()
    for _ in range(50):
        clock.now += 0.5
        polls.call(PullMessagesResponse)
        beats.append(polls.needs_beat())
    assert [number for number, sent in enumerate(beats, 1) if sent] == [20, 40]


def test_the_server_of_many_clinics_wants_heartbeats_less_often(clock: Clock) -> None:
    polls = Polls()
    polls.call(lambda: PullMessagesResponse(reconnect=Reconnect(reconnect=10)))
    beats = []
    for _ in range(25):
        clock.now += 1.0
        beats.append(polls.needs_beat())
    assert [second for second, sent in enumerate(beats, 1) if sent] == [10, 19]


def test_no_heartbeat_is_sent_beside_a_call_that_waits(clock: Clock) -> None:
    polls = Polls()
    assert polls.needs_beat()

    def waiting() -> PullMessagesResponse:
        clock.now += 2.0
        assert not polls.needs_beat()
        return HELD

    polls.call(waiting)
