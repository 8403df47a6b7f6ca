"""The batch normalisation a clinic keeps to itself between rounds (FedBN), in its site folder."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.storage.atomic_files import write_atomically

KEPT = 3  # files; a resumed run may go back by a round or two


@dataclass(frozen=True)
class BatchNormFiles:
    """One file a round, so that a round repeated after a crash starts from what it started from before.

    Attributes:
        folder: where the files are.
    """

    folder: Path

    def load(self, before_round: int) -> NDArray[np.float32] | None:
        """The values of the last round before this one that the clinic took part in, or ``None``."""
        earlier = [number for number in self._rounds() if number < before_round]
        return np.load(self._path(max(earlier))) if earlier else None

    def save(self, values: NDArray[np.float32], *, round: int) -> None:
        """Keeps the values that a round ended with, and drops those of long before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, values)
        write_atomically(self._path(round), content.getvalue())
        # The last few that it took part in, however long ago: a repeated round needs the one before it.
        for number in sorted(n for n in self._rounds() if n <= round)[:-KEPT]:
            self._path(number).unlink()

    def _rounds(self) -> list[int]:
        return [int(path.stem.removeprefix("round-")) for path in self.folder.glob("round-*.npy")]

    def _path(self, round: int) -> Path:
        return self.folder / f"round-{round}.npy"
