"""``--help`` of every command: at once, with examples."""

from __future__ import annotations

import json
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
    *(f"fl-client {name}" for name in ("start", "status", "audit", "models", "counts")),
    *(f"fl-client {name}" for name in ("diagnoses", "review", "quarantine", "forget", "serve", "token")),
    "fl-server",
    *(
        f"fl-server {name}"
        for name in (
            *("init", "enrol", "revoke", "clinics", "renew", "start", "train", "query", "status", "runs"),
            *("stop", "resume", "history", "models", "models list", "models card", "export"),
        )
    ),
)


def script(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("the commands are not installed beside this Python")
    return found


# Asks for the help of each command, and what has been imported by then.
PROGRAM = """
import contextlib, importlib, io, json, sys
_, module, *commands = sys.argv
main, found = importlib.import_module(module).main, {}
for command in commands:
    code, sys.argv = 0, [*command.split(), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            code = end.code
    found[command] = code or 0, out.getvalue(), [name for name in sys.modules if "." not in name]
print(json.dumps(found))
"""
MODULES = {"fl-simulate": "simulation", "fl-client": "client", "fl-server": "server"}


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, text and imported modules by command; a fresh process for each program."""
    found: dict[str, tuple[int, str, list[str]]] = {}
    for name, part in MODULES.items():
        own = [command for command in COMMANDS if command.split()[0] == name]
        line = [sys.executable, "-c", PROGRAM, f"dermafed.{part}.cli", *own]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        found |= json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_at_once_and_says_what_it_is_for(
    command: str, helps: dict[str, tuple[int, str, list[str]]]
) -> None:
    code, text, imported = helps[command]
    assert code == 0
    assert "typer" in imported
    assert not {*imported} & {"tensorflow", "keras", "flwr", "cv2", "scipy", "numpy"}, "these take long"
    assert "Usage: " in text
    if command in ("fl-client", "fl-server"):
        assert "Research use only" in text
    else:
        lines = [line.strip() for line in text.splitlines()]
        assert sum(line.startswith(command) for line in lines) >= 2, "two examples"


@pytest.mark.parametrize("name", ["fl-simulate", "fl-client", "fl-server"])
def test_an_unknown_option_is_bad_usage(name: str) -> None:
    done = subprocess.run([script(name), "--no-such"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
