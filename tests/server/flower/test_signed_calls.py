"""What is remembered of signatures that were used."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from dermafed.server.flower.signed_calls import _BEHIND, _REMEMBERED, _Used


def test_a_signature_that_has_expired_is_forgotten_and_still_refused() -> None:
    used, now = _Used(), datetime.now(UTC)
    old = [(now - _BEHIND + timedelta(seconds=0.5), number) for number in range(100)]
    assert all(map(used.take, old))
    time.sleep(0.6)
    assert used.take((now, 1))
    assert used._known == set(used._oldest_first) == {(now, 1)}
    assert not any(map(used.take, [*old, (now, 1)]))


def test_of_many_signatures_the_latest_are_remembered_and_all_refused() -> None:
    used, now = _Used(), datetime.now(UTC)
    signatures = [(now + timedelta(microseconds=number), 7) for number in range(_REMEMBERED + 10)]
    assert all(map(used.take, signatures))
    assert len(used._known) == _REMEMBERED
    assert not any(map(used.take, signatures))
