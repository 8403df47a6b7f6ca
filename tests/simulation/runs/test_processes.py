from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from dermafed.shared.errors import DermaFedError
from dermafed.simulation.runs.processes import fresh_processes, run_in_processes


def test_a_killed_process_is_an_error() -> None:
    with pytest.raises(DermaFedError, match="ended a process"):
        list(run_in_processes(end_at_once, [None], processes=1))


def end_at_once(_: None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_prepared_processes_do_the_work(tmp_path: Path) -> None:
    with fresh_processes(1) as processes:
        processes.prepare(remember, 1)
        list(processes.run(write_remembered, [tmp_path / "found"]))
    assert (tmp_path / "found").read_text() == "prepared"


def test_an_error_does_not_wait_for_processes_that_are_prepared() -> None:
    start = time.monotonic()
    with pytest.raises(DermaFedError, match="There is no data"):
        fail_beside_sleepers()
    assert time.monotonic() - start < 20


def fail_beside_sleepers() -> None:
    with fresh_processes(2) as processes:
        processes.prepare(sleep, 2)
        raise DermaFedError("There is no data")


def remember() -> None:
    os.environ["REMEMBERED"] = "prepared"


def write_remembered(path: Path) -> None:
    path.write_text(os.environ["REMEMBERED"])


def sleep() -> None:
    time.sleep(60)
