"""One file of the preprocessing cache: a header with a checksum, then the pixels.

An entry appears under its name whole or not at all (written elsewhere on the same disk, then renamed), so
writers may race and may be killed. It is not flushed to the disk: an entry that a power cut damages fails its
checksum and is computed again, which costs less than a flush for each of thousands of images.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import StorageError
from dermafed.shared.imaging.pipeline import Preprocessed

_HEADER = struct.Struct("<8s32sd?7x")  # magic, SHA-256 of all the rest and the key, sigma, denoised
_MAGIC = b"DermaPre"


def write_entry(path: Path, key: str, content: Preprocessed, scratch: Path) -> None:
    """Write an entry, readable by its owner alone; replace one that is there.

    Args:
        path: the entry's file.
        key: settings and source image of the entry; part of the checksum.
        content: the preprocessed image.
        scratch: a folder on the same file system for the unfinished file.

    Raises:
        StorageError: it cannot be written, because the disk is full or for another reason.
    """
    pixels = np.ascontiguousarray(content.image).data
    checksum = _checksum(key, content.noise_sigma, content.denoised, pixels)
    header = _HEADER.pack(_MAGIC, checksum, content.noise_sigma, content.denoised)
    try:
        make_private(path.parent)
        _write_whole(path, (header, pixels), scratch)
    except OSError as error:
        what = f"The image cache cannot be written: {error.strerror or error}"
        remedy = "Free some space, or set DERMAFED_CACHE to another folder"
        raise StorageError(what, where=path.parent, remedy=remedy) from error


def read_entry(path: Path, key: str, pixels: NDArray[np.uint8]) -> tuple[float, bool] | None:
    """Read an entry straight into an array.

    Args:
        path: the entry's file.
        key: the settings and source image that the entry must have.
        pixels: C-contiguous uint8 array of the expected shape; overwritten, with arbitrary values
            where the result is ``None``.

    Returns:
        Noise sigma and whether the image was denoised; ``None`` if the entry is absent or not intact.
    """
    header = bytearray(_HEADER.size)
    try:
        with path.open("rb", buffering=0) as file:
            whole = file.readinto(header) == len(header) and file.readinto(pixels.data) == pixels.nbytes
            whole = whole and not file.read(1)
    except OSError:
        return None
    if not whole:
        return None
    magic, checksum, sigma, denoised = _HEADER.unpack(header)
    intact = magic == _MAGIC and checksum == _checksum(key, sigma, denoised, pixels.data)
    return (sigma, denoised) if intact else None


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, for its owner alone; an existing one is not changed.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _checksum(key: str, sigma: float, denoised: bool, pixels: memoryview) -> bytes:
    digest = hashlib.sha256(key.encode() + struct.pack("<d?", sigma, denoised))
    digest.update(pixels)
    return digest.digest()


def _write_whole(path: Path, parts: tuple[bytes | memoryview, ...], scratch: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=scratch)  # mode 0600
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
