"""The cost of a process with its children."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.process_tree import cpu_seconds, resident_mb, tree

CHILD = """
import time
while time.process_time() < 0.3:
    pass
print(flush=True)
input()
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


@pytest.fixture
def parent() -> Iterator[int]:
    """A process whose child has taken 0.3 CPU seconds and waits."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


def test_a_tree_has_the_child_and_its_cpu_seconds(parent: int) -> None:
    assert len(list(tree(parent))) == 2
    assert 0.3 <= cpu_seconds(parent) < 1.5
    assert 5 < resident_mb(parent) < 100
