"""The folder of a run: made with room enough, and taken back if nothing came of the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.storage.lock import lock_folder
from dermafed.simulation.runs.run_settings import SETTINGS_FILE

# Two checkpoints and the best model an arm, of 16 MB for B0; the larger backbones take more.
BYTES_PER_ARM = 200_000_000


@contextmanager
def run_folder(out: Path) -> Iterator[None]:
    """Holds the folder for this process; takes it back if the run fails before its first state was saved.

    Args:
        out: holds what an earlier start of this run left, or is empty or not there.

    Raises:
        StorageError: it cannot be made.
        SettingsError: another process works in it, or there is no room.
    """
    made = not out.exists()
    with lock_folder(out):
        fresh = not (out / SETTINGS_FILE).exists()
        try:
            _check_room(out)
            yield
        except (DermaFedError, OSError):
            # What was trained is never thrown away: such a run can be resumed.
            if fresh and not any(out.glob("arms/*/round-*.npz")):
                _take_back(out, made)
            raise


def _take_back(out: Path, made: bool) -> None:
    shutil.rmtree(out, ignore_errors=True)
    if not made:
        out.mkdir(exist_ok=True)


def _check_room(out: Path) -> None:
    free = shutil.disk_usage(out).free
    if free < BYTES_PER_ARM:
        raise SettingsError(
            f"Only {free / 1e6:.0f} MB are free", where=out, remedy="Free some space or choose another --out"
        )
