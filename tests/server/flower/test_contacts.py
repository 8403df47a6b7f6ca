"""For how long a node was not heard, by a clock that the test turns."""

from __future__ import annotations

from dermafed.server.flower.contacts import Contacts


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
