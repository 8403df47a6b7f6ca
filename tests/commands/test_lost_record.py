"""A federation whose record is lost: nothing is made anew, and no run takes the place of another."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event

import pytest

from dermafed.server import cli
from dermafed.server.coordinator.run_execution import RunExecutor
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import find_run
from dermafed.shared.errors import FederationError
from tests.commands.small_datasets import Outcome, command
from tests.server.coordinator.runs_in_process import LocalLink
from tests.server.example_keys import KEY

PLAN = 'name = "spring"\nrounds = 4\nweights = "none"\n[model]\nimage_size = 32\n'
COMMANDS = [
    ("status",),
    ("start",),
    ("clinics",),
    ("runs",),
    ("enrol", "graz", "../graz.pub"),
    ("train", "../spring.toml"),
    ("models", "list", "spring"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A federation's folder with a model, the current folder."""
    made = tmp_path / "alps"
    assert command(cli.main, capsys, "init", made, "--host", "derma.example.org").code == 0
    monkeypatch.chdir(made)
    (tmp_path / "graz.pub").write_text(KEY)
    (tmp_path / "spring.toml").write_text(PLAN)
    (made / "runs" / "0001-spring").mkdir()
    (made / "runs" / "0001-spring" / "offer.json").write_text("{}")
    return made


def lose(record: Path, how: str) -> None:
    if how == "0 bytes":
        record.write_bytes(b"")
        return
    record.unlink()
    if how == "without tables":
        with sqlite3.connect(record) as db:
            db.execute("VACUUM")
            db.execute("CREATE TABLE other (id)")
    if how == "without runs":
        Record.create(record)
    if how != "missing":
        record.chmod(0o600)


@pytest.mark.parametrize("how", ["0 bytes", "missing", "without tables", "without runs"])
def test_no_command_takes_it_for_a_new_one(
    how: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(folder / "record.db", how)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for arguments in COMMANDS:
        done: Outcome = command(cli.main, capsys, *arguments)
        assert done.code == 2, (arguments, done)
        assert "record" in done.err
        assert "from your backup" in done.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_old_copy_of_it_gives_no_run_the_folder_of_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "runs" / "0001-spring").rename(folder / "runs" / "0001-before")
    lose(folder / "record.db", "without runs")
    (folder / "runs" / "0001-before").rename(folder / "away")
    assert command(cli.main, capsys, "enrol", "graz", "../graz.pub").code == 0
    assert command(cli.main, capsys, "train", "../spring.toml").code == 0
    (folder / "away").rename(folder / "runs" / "0001-spring")
    record = Record(folder / "record.db")
    executor = RunExecutor(LocalLink(), record, folder / "runs")
    with pytest.raises(FederationError, match="has another run"):
        executor.execute(find_run(record, "spring"), Event())
    assert (folder / "runs" / "0001-spring" / "offer.json").read_text() == "{}"
