"""The updates of one round on disk until all have arrived: what is plausible depends on the others'."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dermafed.shared.errors import StorageError
from dermafed.shared.training.trainer import FloatVector


class UpdateSpool:
    """Vectors float32 (P,) by clinic, in a file without a name, which is gone whenever the process ends.

    It takes 4 P bytes a clinic; the memory holds one vector at a time.
    """

    def __init__(self, folder: Path, parameters: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._bytes = 4 * parameters
        self._places: dict[str, int] = {}

    def add(self, clinic: str, weights: FloatVector) -> None:
        """Add a clinic's vector.

        Raises:
            StorageError: the disk is full.
        """
        place = len(self._places)
        try:
            self._file.seek(place * self._bytes)
            self._file.write(np.ascontiguousarray(weights, np.float32).data)
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"A clinic's update cannot be written ({error.strerror})",
                where="the run's folder",
                remedy="Make room on the disk, then resume the run",
            ) from error
        self._places[clinic] = place

    def items(self) -> Iterator[tuple[str, FloatVector]]:
        """Each clinic's vector, by name."""
        for clinic, place in sorted(self._places.items()):
            self._file.seek(place * self._bytes)
            yield clinic, np.frombuffer(self._file.read(self._bytes), np.float32)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()
