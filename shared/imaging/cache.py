"""The preprocessing cache: each image is preprocessed once per settings, under any file name.

``FOLDER/<digest of the settings>/<2 digits>/<62 digits>`` is one image, see
:mod:`dermafed.shared.imaging.cache_entry`, named by the SHA-256 of its source file's bytes.
Deleting any of it is safe at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DermaFedError, ImageError, StorageError
from dermafed.shared.imaging.cache_entry import make_private, read_entry, write_entry
from dermafed.shared.imaging.decoding import content_digest, decode_image, read_bytes
from dermafed.shared.imaging.pipeline import PIPELINE_VERSION, preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.process import cores
from dermafed.shared.storage.atomic_files import unwritable

Progress = Callable[[int, int], None]

_ABANDONED_AFTER = 3600.0  # seconds; no writer needs one for a single image


@dataclass(frozen=True, slots=True, eq=False)
class CachedImages:
    """Preprocessed images, in the order of the paths asked for.

    Attributes:
        images: RGB (N, S, S, 3), uint8 in 0-255.
        noise_sigmas: (N,), float64, 8-bit units.
        denoised: (N,), bool.
        positions: (N,), int64: the position of each image among the paths asked for.
        skipped: the files that could not be read, each with the reason; N plus their count is the number
            of paths.
    """

    images: NDArray[np.uint8]
    noise_sigmas: NDArray[np.float64]
    denoised: NDArray[np.bool_]
    positions: NDArray[np.int64]
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class PreprocessCache:
    """A cache folder; threads and processes may share it."""

    folder: Path

    def load(
        self,
        paths: Sequence[Path],
        settings: PreprocessSettings,
        *,
        progress: Progress | None = None,
        workers: int | None = None,
        on_bad: Literal["raise", "skip"] = "raise",
    ) -> CachedImages:
        """Load images, and preprocess those that are not in the cache.

        Args:
            paths: image files.
            settings: the preprocessing.
            progress: called in this thread with the number of images done and of all images.
            workers: threads; by default as many as this process has cores.
            on_bad: whether a file that cannot be read is an error or is left out and listed.

        Returns:
            The images and what is known of them.

        Raises:
            ImageError: a file cannot be read and `on_bad` is ``"raise"``.
            SettingsError: the package ``bm3d`` was chosen but is not installed.
            StorageError: the cache cannot be written.
            DermaFedError: the images do not fit into memory.
        """
        entries = _Entries.open(self.folder, settings)
        images = _allocate(len(paths), settings.image_size)
        sigmas, denoised = np.zeros(len(paths)), np.zeros(len(paths), np.bool_)
        positions: list[int] = []
        skipped: list[tuple[Path, str]] = []

        def fill(index: int) -> str | None:
            try:
                sigmas[index], denoised[index] = entries.load(paths[index], images[index])
            except ImageError as error:
                if on_bad == "raise":
                    raise
                return error.what
            return None

        with _pool(workers) as pool:
            for index, fault in enumerate(pool.map(fill, range(len(paths)))):
                if fault is None:
                    images[len(positions)] = images[index]  # closes the gaps that skipped images leave
                    positions.append(index)
                else:
                    skipped.append((paths[index], fault))
                if progress is not None:
                    progress(index + 1, len(paths))
        return CachedImages(
            images[: len(positions)],
            sigmas[positions],
            denoised[positions],
            np.array(positions, np.int64),
            tuple(skipped),
        )

    def remove(self, path: Path) -> None:
        """Remove the entries of an image file, under all settings.

        Raises:
            ImageError: the file cannot be read.
            StorageError: the cache cannot be written.
        """
        digest = content_digest(path)
        try:
            for entry in self.folder.glob(f"*/{digest[:2]}/{digest[2:]}"):
                entry.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(error, self.folder) from error


def default_cache_folder() -> Path:
    """Return ``$DERMAFED_CACHE``, else ``$XDG_CACHE_HOME/dermafed``, else ``~/.cache/dermafed``."""
    if chosen := os.environ.get("DERMAFED_CACHE"):
        return Path(chosen).expanduser()
    standard = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(standard) if Path(standard).is_absolute() else Path.home() / ".cache"
    return base / "dermafed"


@dataclass(frozen=True, slots=True)
class _Entries:
    """The entries of a cache under one choice of settings."""

    folder: Path
    scratch: Path
    settings: PreprocessSettings

    @classmethod
    def open(cls, cache: Path, settings: PreprocessSettings) -> _Entries:
        return cls(cache / _settings_digest(settings), scratch_folder(cache), settings)

    def load(self, path: Path, pixels: NDArray[np.uint8]) -> tuple[float, bool]:
        """Fill `pixels` with a file's preprocessed image; return its noise sigma and whether denoised."""
        data = read_bytes(path)
        digest = hashlib.sha256(data).hexdigest()
        entry = self.folder / digest[:2] / digest[2:]
        key = f"{self.folder.name}/{digest}"
        if (found := read_entry(entry, key, pixels)) is not None:
            return found
        result = preprocess(decode_image(data, where=path), self.settings)
        write_entry(entry, key, result, self.scratch)
        pixels[...] = result.image
        return result.noise_sigma, result.denoised


def _settings_digest(settings: PreprocessSettings) -> str:
    text = json.dumps({"version": PIPELINE_VERSION, **settings.to_dict()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def scratch_folder(cache: Path) -> Path:
    """The folder of a cache's unfinished files, on the same disk, without those of writers that were killed.

    Raises:
        StorageError: it cannot be made.
    """
    scratch = cache / "unfinished"
    try:
        make_private(scratch)
        _remove_abandoned(scratch)
    except OSError as error:
        what = f"The cache folder cannot be used: {error.strerror or error}"
        remedy = "Set DERMAFED_CACHE to another folder"
        raise StorageError(what, where=cache, remedy=remedy) from error
    return scratch


def _remove_abandoned(scratch: Path) -> None:
    horizon = time.time() - _ABANDONED_AFTER
    for file in scratch.iterdir():
        try:
            if file.stat().st_mtime < horizon:
                file.unlink()
        except OSError:  # another process removed it first
            continue


def _allocate(count: int, size: int) -> NDArray[np.uint8]:
    try:
        return np.empty((count, size, size, 3), np.uint8)
    except MemoryError as error:
        what = f"{count} images of {size} x {size} pixels do not fit into memory"
        raise DermaFedError(what, remedy="Choose a smaller image size or fewer images") from error


@contextmanager
def _pool(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    """Threads suffice: BM3D, OpenCV, Pillow and hashing all release the GIL."""
    pool = ThreadPoolExecutor(workers or cores())
    try:
        yield pool
    finally:  # after an error or Ctrl-C, thousands of waiting images are not processed first
        pool.shutdown(cancel_futures=True)
