"""For how long a node was not heard, by a clock that the test turns."""

from __future__ import annotations

import pytest

from dermafed.server.coordinator.coordinator import TICK_SECONDS
from dermafed.server.flower.contacts import HOLD_SECONDS, SILENT_SECONDS, Contacts


def test_silence_begins_with_the_end_of_the_last_call() -> None:
    now = 100.0
    contacts = Contacts(lambda: now)
    assert contacts.silence(7) == 0.0  # it never called
    with contacts.call(7):
        with contacts.call(7):
            now = 130.0
        now = 150.0
        assert contacts.silence(7) == 0.0  # a long one goes on
    now = 152.5
    assert (contacts.silence(7), contacts.silence(8)) == (2.5, 0.0)
    with contacts.call(7):
        pass
    assert contacts.silence(7) == 0.0


def test_a_call_that_is_kept_waiting_counts_from_its_beginning() -> None:
    now = 100.0
    contacts = Contacts(lambda: now)
    with contacts.heard(7):
        now = 101.5
        assert contacts.silence(7) == 1.5
    assert contacts.silence(7) == 1.5


def test_a_call_that_waits_longer_lets_silence_begin_later() -> None:
    now = 100.0
    contacts = Contacts(lambda: now)
    for node in range(2000):
        contacts.heard(node)
    for call in (contacts.heard, contacts.call):
        now = 100.0
        with call(7):
            pass
        now = 115.0
        assert contacts.silence(7) == 0.0
        now = 121.5
        assert contacts.silence(7) == 3.5


@pytest.mark.parametrize(
    ("nodes", "seconds", "beats"), [(0, 2.0, 1), (100, 2.0, 1), (500, 10.0, 7), (5000, 20.0, 15)]
)
def test_the_more_nodes_are_heard_the_less_often_they_call(nodes: int, seconds: float, beats: int) -> None:
    contacts = Contacts()
    for node in range(nodes):
        contacts.heard(node)
    assert (contacts.hold_seconds, contacts.beat_seconds) == (seconds, beats)


def test_an_idle_node_is_not_silent_between_its_calls_and_a_lost_one_is_within_five_seconds() -> None:
    assert HOLD_SECONDS + 1 <= SILENT_SECONDS
    assert SILENT_SECONDS + TICK_SECONDS < 5
