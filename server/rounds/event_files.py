"""The history of a run as TensorBoard's event files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from dermafed.server.rounds.history import HistoryRow, row_values
from dermafed.shared.errors import SettingsError

_FLUSH_SECONDS = 1


def check_tensorboard() -> None:
    """Check that event files can be written.

    Raises:
        SettingsError: the package that writes them is not installed.
    """
    if find_spec("tensorboardX") is None:
        raise SettingsError(
            "TensorBoard's files need the package tensorboardX",
            where="--tensorboard",
            remedy="Install it: pip install 'dermafed[tensorboard]'",
        )


@contextmanager
def tensorboard_writer(folder: Path, history: Iterable[HistoryRow]) -> Iterator[Callable[[HistoryRow], None]]:
    """Write a run's event files anew, so that no round is in them twice.

    Args:
        folder: the run's event files; earlier content is deleted.
        history: the rounds so far.

    Yields:
        A function that writes one more round: each value under its name in ``history.csv``, the round as its
        step.
    """
    # Not TensorBoard's own writer, which loads TensorFlow into the server.
    from tensorboardX import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder), flush_secs=_FLUSH_SECONDS) as writer:

        def write_row(row: HistoryRow) -> None:
            for name, value in row_values(row).items():
                if name != "round" and isinstance(value, int | float):
                    writer.add_scalar(name, value, row.round)

        for row in history:
            write_row(row)
        yield write_row
