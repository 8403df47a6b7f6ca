"""A stroke wakes who waits, also in another process, and is kept until somebody waits."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from dermafed.client.node.flower.bell import Bell

RING = """
import sys
from pathlib import Path
from dermafed.client.node.flower.bell import Bell
Bell(Path(sys.argv[1])).ring()
"""


def seconds_of(bell: Bell, most: float) -> float:
    start = time.monotonic()
    bell.wait(most)
    return time.monotonic() - start


def test_strokes_of_before_are_heard_once(tmp_path: Path) -> None:
    bell, other = Bell(tmp_path / "bell"), Bell(tmp_path / "bell")
    assert (tmp_path / "bell").stat().st_mode & 0o777 == 0o600
    for _ in range(3):
        other.ring()
    assert seconds_of(bell, 30) < 15
    assert seconds_of(bell, 0.2) >= 0.2


def test_another_process_rings(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bell")
    with subprocess.Popen([sys.executable, "-c", RING, str(tmp_path / "bell")]) as process:
        assert seconds_of(bell, 120) < 100
        assert process.wait() == 0


def test_a_bell_that_nobody_hears_never_blocks(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bell")
    for _ in range(100_000):  # a pipe has 65,536 bytes
        bell.ring()
    assert seconds_of(bell, 30) < 15


def test_without_named_pipes_who_waits_looks_often(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "nowhere" / "bell")
    bell.ring()
    assert 0.1 < seconds_of(bell, 30) < 15
