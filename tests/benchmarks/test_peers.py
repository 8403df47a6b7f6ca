"""Peers' environments, and workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import peers
from benchmarks.peers import PeerMissing, environment, worker


def test_a_worker_measures_each_time_it_is_asked() -> None:
    with worker("echo", "7") as measure:
        assert [measure(), measure()] == [{"given": 7.0, "asked": 1.0}, {"given": 7.0, "asked": 2.0}]


def test_a_worker_that_ends_is_a_missing_peer_with_its_reason() -> None:
    reason = "echo ended: ValueError: could not convert string to float: 'x'"
    with pytest.raises(PeerMissing, match=reason), worker("echo", "x"):
        pass


def test_an_environment_is_made_once_and_again_for_other_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], **kwargs: object) -> SimpleNamespace:
        calls.append(command)
        if "venv" in command:
            (Path(command[-1]) / "lib" / "python3" / "site-packages").mkdir(parents=True)
            (Path(command[-1]) / "bin").mkdir()
            (Path(command[-1]) / "bin" / "python").touch()
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    python = environment("other", ["one"], tmp_path)
    home = tmp_path / f"other-python{sys.version_info.major}.{sys.version_info.minor}"
    assert python == home / "bin" / "python"
    assert environment("other", ["one"], tmp_path) == python
    assert [command[-1] for command in calls] == [str(home), "one"]
    environment("other", ["two"], tmp_path)
    assert [command[-1] for command in calls[2:]] == ["two"]
    assert "site.addsitedir" in (home / "lib/python3/site-packages/ours.pth").read_text()


def test_what_cannot_be_installed_is_missing_with_pips_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = SimpleNamespace(returncode=1, stderr="looking\nERROR: No matching distribution found for one\n")
    monkeypatch.setattr(peers.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(PeerMissing, match=r"^other cannot be installed: ERROR: No matching distribution"):
        environment("other", ["one"], tmp_path)


def test_a_peer_that_needs_a_newer_python_has_it_or_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], **kwargs: object) -> SimpleNamespace:
        calls.append(command)
        # A shim of pyenv is there, but says that it has no such Python.
        return SimpleNamespace(returncode=int(command[0] == "/shims/python3.98"), stderr="")

    paths = {"python3.98": "/shims/python3.98", "python3.99": "/usr/bin/python3.99"}
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(peers.shutil, "which", paths.get)
    (home := tmp_path / "new-python3.99").mkdir()
    assert environment("new", ["one"], tmp_path, ("3.98", "3.99")) == home / "bin" / "python"
    assert [*calls[2]] == ["/usr/bin/python3.99", "-m", "venv", str(home)]
    assert not list(home.rglob("ours.pth"))
    with pytest.raises(PeerMissing, match=r"^new needs Python 3\.98 or 3\.97, and there is none on the PATH"):
        environment("new", ["one"], tmp_path, ("3.98", "3.97"))
