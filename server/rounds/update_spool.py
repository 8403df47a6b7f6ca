"""The updates of one round on disk until all have arrived: what is plausible depends on the others'."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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

    def blocks(self, clinics: Sequence[str], values: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Some clinics' vectors, so many values at a time.

        Args:
            clinics: their names, n of them.
            values: of each vector in a block.

        Yields:
            Where the block starts, and its values in the order of the names, float32 (n, B).
        """
        parameters = self._bytes // 4
        for start in range(0, parameters, values):
            block = np.empty((len(clinics), min(values, parameters - start)), np.float32)
            for row, clinic in zip(block, clinics, strict=True):
                self._file.seek(self._places[clinic] * self._bytes + 4 * start)
                self._file.readinto(row.data)
            yield start, block

    def close(self) -> None:
        """Give the space back."""
        self._file.close()
