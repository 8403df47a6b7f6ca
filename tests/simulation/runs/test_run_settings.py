from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dermafed.simulation import cli
from dermafed.simulation.runs import run_settings as settings
from dermafed.simulation.runs.run_settings import RunSettings


def test_the_command_and_the_settings_have_the_same_defaults() -> None:
    options = inspect.signature(cli.simulate).parameters
    for field in fields(RunSettings):
        if field.name != "data":
            assert options[field.name].default == field.default, field.name


def test_a_folder_named_synthetic_is_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[RunSettings] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fl-simulate", "--data", "synthetic"])
    monkeypatch.setattr(cli, "_run", lambda asked, *_: started.append(asked))
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert started[0].data == str(tmp_path / "synthetic")
    assert (started[0].weights, started[0].image_size) == ("imagenet", 128)


@pytest.mark.parametrize(
    ("asked", "installed", "weights"),
    [({}, True, "lite0"), ({}, False, "none"), ({"backbone": "EfficientNetB1"}, True, "none")],
)
def test_a_synthetic_run_starts_from_what_is_there(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], installed: bool, weights: str
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda _: object() if installed else None)
    assert RunSettings(**asked).resolved().weights == weights


@pytest.mark.parametrize(("weights", "blocks"), [("none", 0), ("lite0", 0), ("imagenet", 4), ("own.h5", 4)])
def test_early_blocks_are_kept_where_they_know_something(weights: str, blocks: int) -> None:
    assert RunSettings(weights=weights).resolved().frozen_blocks == blocks
