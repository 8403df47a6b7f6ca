"""Encryption of all that the store keeps: AES-256-GCM, each text bound to its place."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import FILE_MODE, check_private, unwritable, write_private

KEY_BYTES = 32
_NONCE_BYTES = 12  # drawn at random: one key is good for 2**32 of them (NIST SP 800-38D, 8.3)


class Unsealable(ValueError):
    """Another key, another place, or other bytes than were sealed."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals bytes under one key.

    Attributes:
        key: 32 random bytes.
    """

    key: bytes = field(repr=False)

    def close(self, data: bytes, *place: str) -> bytes:
        """Encrypt bytes for a place, such as ``("image", id)``: elsewhere they cannot be opened."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, _in_one(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Decrypt what was sealed for this place.

        Raises:
            Unsealable: it was not, or not by this key, or it was changed.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _in_one(place))
        except (InvalidTag, ValueError) as error:
            raise Unsealable from error

    def close_json(self, value: Any, *place: str) -> bytes:
        """As :meth:`close`, of JSON types."""
        return self.close(json.dumps(value, allow_nan=False).encode(), *place)

    def open_json(self, sealed: bytes, *place: str) -> Any:
        """As :meth:`open`, of JSON types."""
        return json.loads(self.open(sealed, *place))

    def digest(self, *names: str) -> bytes:
        """HMAC-SHA-256 of names: who has no key can neither read nor guess them."""
        return hmac.digest(self._derived(b"digest"), _in_one(names), hashlib.sha256)

    @property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._derived(b"seal"))

    def _derived(self, use: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"dermafed store " + use).derive(self.key)


def _in_one(names: tuple[str, ...]) -> bytes:
    """Names as bytes; other names give other bytes."""
    return json.dumps(names).encode()


_RESTORE = "Restore it from your backup; without it, nobody can read what is kept"


def make_key(path: Path) -> None:
    """Write a new key, 64 hexadecimal digits, to a file that is not there.

    Raises:
        StorageError: the file cannot be written.
    """
    write_private(path, f"{os.urandom(KEY_BYTES).hex()}\n".encode())


def read_key(path: Path) -> Seal:
    """The seal of a key file.

    Raises:
        StorageError: it is missing, damaged, or others may read it.
    """
    if not path.exists():
        raise StorageError("The store's key is missing", where=path, remedy=_RESTORE)
    check_private(path)
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError):
        key = b""  # the cause of this error would show a part of the key
    if len(key) != KEY_BYTES:
        raise StorageError("The store's key is damaged", where=path, remedy=_RESTORE)
    return Seal(key)


IMAGE, PREPARED, OBJECT = KINDS = ("image", "prepared", "object")


@dataclass(frozen=True, slots=True)
class SealedFiles:
    """Files by id and kind, each sealed for just these two.

    A file counts only while the database has its id, so that none needs a temporary name: one that was half
    written when its process died belongs to nobody, and is swept away.
    """

    folder: Path
    seal: Seal

    def write(self, id: str, parts: Mapping[str, bytes]) -> None:
        """Write the files of an id, by kind; they are on the disk when this returns.

        Raises:
            StorageError: they cannot be written.
        """
        try:
            for kind, data in parts.items():
                _write_through(self._path(id, kind), self.seal.close(data, kind, id))
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def read(self, id: str, kind: str) -> bytes:
        """The content of a file.

        Raises:
            StorageError: it is missing, damaged, or that of another id or kind.
        """
        path = self._path(id, kind)
        try:
            return self.seal.open(path.read_bytes(), kind, id)
        except FileNotFoundError:
            what = "A file of the store is missing"
        except OSError as error:
            what = f"A file of the store cannot be read: {error.strerror}"
        except Unsealable:
            what = "A file of the store is damaged, or lies in another's place"
        raise StorageError(what, where=path, remedy="Restore the store from your backup")

    def remove(self, *ids: str) -> None:
        """Remove the files of ids, if there are any.

        Raises:
            StorageError: they cannot be removed.
        """
        self._remove(self._path(id, kind) for id in ids for kind in KINDS)

    def sweep(self, kept: Collection[str]) -> None:
        """Remove the files of all other ids.

        Raises:
            StorageError: they cannot be removed.
        """
        names = os.listdir(self.folder)  # noqa: PTH208  (of hundred thousands, paths would take seconds)
        self._remove(self.folder / name for name in names if name.partition(".")[0] not in kept)

    def _remove(self, paths: Iterable[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def _path(self, id: str, kind: str) -> Path:
        return self.folder / f"{id}.{kind}"


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on the disk: files that are there may else be gone after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
