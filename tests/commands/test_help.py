"""``--help`` of every command: at once, with examples."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    "fl-simulate",
    "fl-client",
    "fl-client diagnose",
    "fl-client similar",
    "fl-client evaluate",
    "fl-client audit-model",
    "fl-client calibrate",
    "fl-client explain",
    "fl-client convert",
    *(f"fl-client {name}" for name in ("init", "join", "check", "plans", "approve", "refuse")),
    *(f"fl-client {name}" for name in ("start", "status", "audit", "models")),
    *(f"fl-client {name}" for name in ("diagnoses", "review", "quarantine", "forget", "serve", "token")),
    "fl-server",
    *(
        f"fl-server {name}"
        for name in (
            *("init", "enrol", "revoke", "clinics", "renew", "start", "train", "status", "runs"),
            *("stop", "resume", "history", "models", "models list", "models card", "export"),
        )
    ),
)


def script(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("the commands are not installed beside this Python")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_at_once_and_says_what_it_is_for(command: str) -> None:
    name, *rest = command.split()
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(
        [script(name), *rest, "--help"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"tensorflow", "keras", "flwr", "cv2", "scipy"}, "these take seconds"
    assert "Usage: " in done.stdout
    if command in ("fl-client", "fl-server"):
        assert "Research use only" in done.stdout
    else:
        lines = [line.strip() for line in done.stdout.splitlines()]
        assert sum(line.startswith(command) for line in lines) >= 2, "two examples"


@pytest.mark.parametrize("name", ["fl-simulate", "fl-client", "fl-server"])
def test_an_unknown_option_is_bad_usage(name: str) -> None:
    done = subprocess.run([script(name), "--no-such"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
