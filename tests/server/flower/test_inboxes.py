"""A node's call for messages waits, and ends as soon as there is one."""

from __future__ import annotations

import asyncio
import time
from threading import Timer

from dermafed.server.flower.inboxes import Inboxes


def waited(inboxes: Inboxes, node: int, seconds: float) -> tuple[bool, float]:
    """Whether there was a message, and how many seconds that took."""
    start = time.monotonic()
    found = asyncio.run(inboxes.wait(node, seconds))
    return found, time.monotonic() - start


def test_a_message_is_told_once() -> None:
    inboxes = Inboxes()
    inboxes.put([7, 8])
    assert [inboxes.take(node) for node in (7, 7, 8, 9)] == [True, False, True, False]


def test_a_call_waits_for_its_seconds() -> None:
    found, took = waited(Inboxes(), 7, 0.2)
    assert not found
    assert 0.2 <= took < 10


def test_a_call_ends_at_once_where_a_message_waits() -> None:
    inboxes = Inboxes()
    inboxes.put([7])
    found, took = waited(inboxes, 7, 30)
    assert found
    assert took < 10
    assert inboxes.take(7)  # waiting takes nothing


def test_a_call_is_woken_by_a_message_from_another_thread_and_no_other_nodes_call() -> None:
    inboxes = Inboxes()
    Timer(0.2, inboxes.put, [[7]]).start()
    found, took = waited(inboxes, 7, 30)
    assert found
    assert took < 15
    inboxes = Inboxes()
    Timer(0.1, inboxes.put, [[8]]).start()
    assert waited(inboxes, 7, 0.3)[0] is False


def test_no_call_waits_when_the_server_ends() -> None:
    inboxes = Inboxes()
    Timer(0.2, inboxes.close).start()
    assert waited(inboxes, 7, 30)[1] < 15
    assert waited(inboxes, 8, 30)[1] < 15
