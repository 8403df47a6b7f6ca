from __future__ import annotations

import os
import signal

import pytest

from dermafed.shared.errors import DermaFedError
from dermafed.simulation.runs.processes import run_in_processes


def test_a_killed_process_is_an_error() -> None:
    with pytest.raises(DermaFedError, match="ended a process"):
        list(run_in_processes(end_at_once, [None], processes=1))


def end_at_once(_: None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
