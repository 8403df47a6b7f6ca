"""``--version`` and shell completion of the three command lines."""

from __future__ import annotations

import subprocess
from importlib.metadata import version

import pytest

from tests.commands.test_help import script

NAMES = ("fl-client", "fl-server", "fl-simulate")


@pytest.mark.parametrize("name", NAMES)
def test_version(name: str) -> None:
    done = subprocess.run([script(name), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"dermafed {version('dermafed')}\n"


@pytest.mark.parametrize("name", NAMES)
def test_completion_script(name: str) -> None:
    command = [script(name), "--show-completion", "bash"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert f"_{name.upper().replace('-', '_')}_COMPLETE=complete_bash" in done.stdout
