"""Checkpoints: the state of a run after each round, on disk, so that it can resume after any sudden end.

Each round's state is one file, ``round-0007.npz``, written under another name and then renamed. The last
two stay (the second in case the first gets damaged), and with each the best round up to it. The history is in
``history.jsonl``, for all of them: what a round costs does not grow with the rounds before it.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.history import HISTORY_FILE, HistoryRow, best_round, row_from_values
from dermafed.server.rounds.history_lines import Lines, add_lines, are_lines_of, read_lines
from dermafed.server.rounds.strategies import State
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.shared.training.trainer import FloatVector

Settings = Mapping[str, Any]
"""What must stay the same for a run to be resumed: values that JSON has."""

log = logging.getLogger("dermafed.server")

UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class RunState:
    """A run after one of its rounds.

    Attributes:
        round: the last finished round; 0 at the start.
        weights: the global model, float32 (P,).
        memory: the strategy's state.
        history: one row for each round so far.
        settings: the run's settings.
    """

    round: int
    weights: FloatVector
    memory: State
    history: tuple[HistoryRow, ...]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file of a round's state.

    Attributes:
        path: the file.
        round: the round it ends; 0 is the start.
        size: bytes.
        roles: ``start``, ``last`` and ``best`` (on validation, by balanced accuracy), as they apply.
    """

    path: Path
    round: int
    size: int
    roles: tuple[str, ...]


def save_state(folder: Path, state: RunState) -> None:
    """Write a round's state, then delete the files that are no longer needed.

    Raises:
        StorageError: the disk is full or the folder cannot be written; the states before are untouched.
    """
    before = _lines_before(folder, state)
    lines = add_lines(folder, state.history, before)
    values = {"round": state.round, "lines": asdict(lines), "settings": dict(state.settings)}
    record = np.frombuffer(json.dumps(values).encode(), np.uint8)
    memory = {f"memory_{name}": values for name, values in state.memory.items()}
    file = io.BytesIO()
    np.savez(file, record=record, weights=state.weights, **memory)  # type: ignore[arg-type]
    write_atomically(_path(folder, state.round), file.getvalue())
    _prune(folder, {state.round, state.round - 1, lines.best, before.best})


def load_state(folder: Path, round: int | None = None) -> RunState:
    """Read a round's state, or the last one that is complete.

    Args:
        folder: the run's folder.
        round: the round; the last by default.

    Raises:
        FederationError: there is no state, or none that can be read.
    """
    damage: FederationError | None = None
    paths = [_path(folder, round)] if round is not None else sorted(folder.glob("round-*.npz"), reverse=True)
    for path in paths:
        try:
            return _read(path)
        except UNREADABLE as error:
            log.warning("%s cannot be read (%s)", path.name, type(error).__name__)
        except FederationError as error:  # the rounds before may be whole
            log.warning("%s cannot be read: %s", path.name, error.what)
            damage = error
    if damage:
        raise damage
    what = "The run's state cannot be read" if paths else "There is no state of a run"
    raise FederationError(what, where=paths[0] if paths else folder, remedy="Start the run anew")


def load_best(folder: Path) -> RunState:
    """The state after the best round by validation balanced accuracy.

    Raises:
        FederationError: there is no state, or none that can be read.
    """
    return load_state(folder, best_round(load_state(folder).history))


def has_state(folder: Path) -> bool:
    """Whether the folder has a checkpoint of a run."""
    return any(folder.glob("round-*.npz"))


def find_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints of a run, in order of their rounds.

    Raises:
        FederationError: none of them can be read.
    """
    state = load_state(folder)
    special = {0: ["start"]}
    special.setdefault(state.round, []).append("last")
    special.setdefault(best_round(state.history), []).append("best")
    return [
        Checkpoint(path, number, path.stat().st_size, tuple(special.get(number, ())))
        for path in sorted(folder.glob("round-*.npz"))
        if (number := int(path.stem.removeprefix("round-"))) <= state.round
    ]


def federated_folder(run: Path) -> Path:
    """The folder of the federated arm of an ``fl-simulate`` run, or the folder itself if it is an arm.

    Raises:
        SettingsError: it is neither.
    """
    for folder in (run / "arms" / "federated", run):
        if (folder / HISTORY_FILE).is_file() and has_state(folder):
            return folder
    raise SettingsError(
        "There is no federated run",
        where=run,
        remedy="Give the --out folder of fl-simulate, or one of its arms",
    )


def check_same_settings(before: Settings, now: Settings, folder: Path) -> None:
    """Refuse to resume a run with other settings.

    Raises:
        SettingsError: with the names of the settings that differ.
    """
    now = json.loads(json.dumps(dict(now)))  # as they are after a round trip: tuples are lists
    differing = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if differing:
        changes = ", ".join(f"{name} ({before.get(name)!r}, now {now.get(name)!r})" for name in differing)
        raise SettingsError(
            f"The run was started with other settings: {changes}",
            where=folder,
            remedy="Give the same ones, or start a new run in another folder",
        )


def _path(folder: Path, round: int) -> Path:
    return folder / f"round-{round:04d}.npz"


def _read(path: Path) -> RunState:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    record = _parse_record(arrays.pop("record"))
    if "lines" in record:
        history = read_lines(path.parent, Lines(**record["lines"]))
    else:  # of an earlier version
        history = tuple(row_from_values(row) for row in record["history"])
    weights = arrays.pop("weights")
    memory = {name.removeprefix("memory_"): values for name, values in arrays.items()}
    return RunState(record["round"], weights, memory, history, record["settings"])


def _parse_record(text: NDArray[Any]) -> dict[str, Any]:
    # Earlier versions wrote NumPy's text, of four bytes a character.
    record: dict[str, Any] = json.loads(text.tobytes() if text.dtype == np.uint8 else str(text))
    return record


def _lines_before(folder: Path, state: RunState) -> Lines:
    """The lines that the checkpoint of the round before has; none where they are not this state's."""
    earlier = state.history[:-1]
    try:
        with np.load(_path(folder, state.round - 1), allow_pickle=False) as file:
            lines = Lines(**_parse_record(file["record"])["lines"])
        if are_lines_of(folder, lines, earlier):
            return lines
    except UNREADABLE:
        pass  # the start of a run, or an earlier version's
    return Lines(best=best_round(earlier))


def _prune(folder: Path, kept: set[int]) -> None:
    for path in folder.glob("round-*.npz"):
        if path not in {_path(folder, round) for round in kept}:
            path.unlink()
    for path in folder.glob(".round-*.part"):  # left by a sudden end
        path.unlink()
