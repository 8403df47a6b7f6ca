"""For how long a node was not heard, by a clock that the test turns."""

from __future__ import annotations

from dermafed.server.coordinator.coordinator import TICK_SECONDS
from dermafed.server.flower.contacts import SILENT_SECONDS, Contacts
from dermafed.server.flower.inboxes import HOLD_SECONDS


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
    with contacts.heard(7, 20.0):
        now = 115.0
        assert contacts.silence(7) == 0.0
        now = 121.5
        assert contacts.silence(7) == 3.5


def test_an_idle_node_is_not_silent_between_its_calls_and_a_lost_one_is_within_five_seconds() -> None:
    assert HOLD_SECONDS + 1 <= SILENT_SECONDS
    assert SILENT_SECONDS + TICK_SECONDS < 5
