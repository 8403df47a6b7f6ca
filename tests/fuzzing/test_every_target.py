"""A short fuzz of everything that reads what others send; ``python -m benchmarks.fuzz`` is the long one."""

from __future__ import annotations

import random
import time
import warnings
from collections import Counter

import pytest

from tests.fuzzing.target import TARGETS

EXECUTIONS, SECONDS = 4000, 1.0
FEWEST = 100  # whatever the machine is busy with


def damage(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, a piece cut out, or one doubled; the first byte selects the way in, and stays."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(1, len(damaged) + 1)
        end = min(len(damaged), start + chance.choice([1, 2, 4, 30]))
        piece = [b"", bytes(damaged[start:end]) * 2, chance.randbytes(end - start), b"\xff\xff\xff\xff"]
        damaged[start:end] = chance.choice(piece)
    return bytes(damaged)


@pytest.mark.parametrize("name", TARGETS)
def test_undamaged_input_is_received(name: str) -> None:
    take, seeds = TARGETS[name].load()
    assert any(take(seed).startswith("received") for seed in seeds)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_received_or_refused(name: str) -> None:
    (take, seeds), chance, outcomes = TARGETS[name].load(), random.Random(5), Counter[str]()
    end = time.process_time() + SECONDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged tags
        for number in range(EXECUTIONS):
            if number >= FEWEST and time.process_time() > end:
                break
            outcomes[take(damage(seeds[number % len(seeds)], chance))] += 1
    assert any(kind.startswith("received") for kind in outcomes), outcomes
    assert len(outcomes) > 1
