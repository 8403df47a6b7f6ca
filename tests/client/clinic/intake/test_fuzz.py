"""A short fuzz of the intake; ``python -m benchmarks.fuzz_intake`` is the long one."""

from __future__ import annotations

import random
import warnings
from collections import Counter

from tests.client.clinic.intake.fuzzing import seeds, take


def damage(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, a piece cut out, or one doubled; the first byte selects the way in, and stays."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(1, len(damaged) + 1)
        end = min(len(damaged), start + chance.choice([1, 2, 4, 30]))
        piece = [b"", bytes(damaged[start:end]) * 2, chance.randbytes(end - start), b"\xff\xff\xff\xff"]
        damaged[start:end] = chance.choice(piece)
    return bytes(damaged)


def test_undamaged_files_are_received() -> None:
    assert {take(seed) for seed in seeds()} == {"received"}


def test_damaged_files_are_received_or_refused() -> None:
    chance, starts, outcomes = random.Random(5), seeds(), Counter[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged tags
        for number in range(4000):
            outcomes[take(damage(starts[number % len(starts)], chance))] += 1
    assert outcomes["received"] > 200
    assert len(outcomes) > 10
