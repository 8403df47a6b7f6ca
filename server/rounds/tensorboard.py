"""A run's rounds as TensorBoard shows them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from dermafed.server.rounds.history import HistoryRow
from dermafed.shared.errors import SettingsError

_FLUSH_SECONDS = 1


def check_tensorboard() -> None:
    """Whether event files can be written.

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
def tensorboard(folder: Path, history: Iterable[HistoryRow]) -> Iterator[Callable[[HistoryRow], None]]:
    """A run's event files, begun anew, so that no round is in them twice.

    Args:
        folder: of this run's events; what it held is deleted.
        history: the rounds so far.

    Yields:
        Writes one more round: each figure under its name in ``history.csv``, the round as its step.
    """
    # Not TensorBoard's own writer, which loads TensorFlow into the server.
    from tensorboardX import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder), flush_secs=_FLUSH_SECONDS) as writer:

        def chart(row: HistoryRow) -> None:
            for name, value in asdict(row).items():
                if name != "round" and isinstance(value, int | float) and not math.isnan(value):
                    writer.add_scalar(name, value, row.round)

        for row in history:
            chart(row)
        yield chart
