"""Arrays of features on disk, which are computed once and then read in parts.

``FOLDER/features/<64 digits>.npy`` is one array, named by the SHA-256 of all that it depends on. It appears
whole or not at all, only its owner can read it, and deleting it is safe at any time. All together take no
more than a bound: the ones that nobody has used for longest are removed first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError, StorageError
from dermafed.shared.imaging.cache import scratch_folder
from dermafed.shared.imaging.cache_entry import make_private

Floats = NDArray[np.floating[Any]]

MOST_BYTES = 20 * 10**9

_LEFT_FREE = 100 * 10**6  # bytes of the disk, for others
_REMEDY = "Free some space, set DERMAFED_CACHE to another folder, or ask for fewer views"


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """The features in a cache folder; threads and processes may share it.

    Attributes:
        cache: the cache folder.
        most_bytes: what all features may take together.
    """

    cache: Path
    most_bytes: int = MOST_BYTES

    def load(self, key: str, shape: tuple[int, ...], dtype: type[np.floating[Any]]) -> Floats | None:
        """An array, read from the disk where it is indexed; ``None`` if it is absent or damaged.

        Args:
            key: its name, hexadecimal.
            shape: the shape that it must have.
            dtype: the type that it must have.
        """
        path = self._path(key)
        try:
            found: Floats = np.load(path, mmap_mode="r")
            os.utime(path)
        except (OSError, ValueError, EOFError):
            return None
        return found if (found.shape, found.dtype) == (shape, np.dtype(dtype)) else None

    def save(
        self, key: str, shape: tuple[int, ...], dtype: type[np.floating[Any]], parts: Iterable[Floats]
    ) -> Floats:
        """Write an array of which the parts follow one another, and load it.

        Raises:
            ModelError: a value is not finite, or too large for the type.
            StorageError: it cannot be written.
        """
        scratch = scratch_folder(self.cache)
        try:
            make_private(self._folder)
            _write(self._path(key), shape, dtype, parts, scratch)
            return np.asanyarray(np.load(self._path(key), mmap_mode="r"))
        except OSError as error:
            what = f"Features cannot be written: {error.strerror or error}"
            raise StorageError(what, where=self._folder, remedy=_REMEDY) from error

    def make_room(self, missing: Sequence[int], present: int = 0) -> None:
        """Before the work: check that arrays fit, and remove those that were not used for longest.

        Args:
            missing: bytes of each array that will be written.
            present: bytes of those that are there and will be used with them.

        Raises:
            StorageError: they take more than the bound, or than the disk has.
        """
        wanted = sum(missing)
        if wanted + present > self.most_bytes:
            what = f"The features take {_gb(wanted + present)}, more than {_gb(self.most_bytes)}"
            raise StorageError(what, where=self._folder, remedy="Ask for fewer views, or freeze more blocks")
        scratch = scratch_folder(self.cache)
        self._remove_until(self.most_bytes - wanted)
        if wanted and (free := shutil.disk_usage(scratch).free - _LEFT_FREE) < wanted:
            what = f"The features take {_gb(wanted)}, and the disk has {_gb(max(free, 0))} for them"
            raise StorageError(what, where=self._folder, remedy=_REMEDY)

    def clear(self) -> None:
        """Remove all features.

        Raises:
            StorageError: a file cannot be removed.
        """
        try:
            for path in self._folder.glob("*.npy"):
                path.unlink(missing_ok=True)
        except OSError as error:
            what = f"Features cannot be removed: {error.strerror or error}"
            raise StorageError(what, where=self._folder, remedy="Remove them by hand") from error

    def _remove_until(self, most: int) -> None:
        files: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*.npy"):
            with suppress(OSError):  # another process removed it
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= most:
                return
            with suppress(OSError):
                path.unlink()
            total -= size

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npy"

    @property
    def _folder(self) -> Path:
        return self.cache / "features"


def bytes_of(shape: tuple[int, ...], dtype: type[np.floating[Any]]) -> int:
    """The bytes of an array on the disk, but for a header of some hundred."""
    return prod(shape) * np.dtype(dtype).itemsize


def _write(
    path: Path,
    shape: tuple[int, ...],
    dtype: type[np.floating[Any]],
    parts: Iterable[Floats],
    scratch: Path,
) -> None:
    descriptor, name = tempfile.mkstemp(dir=scratch)  # mode 0600
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                file.write(_checked(part, dtype).tobytes())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _checked(part: Floats, dtype: type[np.floating[Any]]) -> Floats:
    with np.errstate(over="ignore"):
        stored = part.astype(dtype)
    if not np.isfinite(stored).all():
        what = f"What the frozen blocks make of an image is not finite in {8 * stored.itemsize} bits"
        raise ModelError(what, remedy="Use other first weights, or train without views")
    return stored


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
