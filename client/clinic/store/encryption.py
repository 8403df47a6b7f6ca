"""Encryption of the store: AES-256-GCM, its key file, and the encrypted files of pictures."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
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

_RESTORE = "Restore it from your backup; without it, nobody can read the store"
_PART = ".part"
IMAGE, PREPARED, OBJECT = KINDS = ("image", "prepared", "object")


class DecryptionError(ValueError):
    """The key, the context or the bytes are not those of the encryption."""


@dataclass(frozen=True, slots=True)
class StoreCipher:
    """Encrypts and authenticates bytes under one key.

    Attributes:
        key: 32 random bytes.
    """

    key: bytes = field(repr=False)

    def encrypt(self, data: bytes, *context: str) -> bytes:
        """Encrypt bytes for a context such as ``("image", id)``: no other context decrypts them."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aes.encrypt(nonce, data, _joined(context))

    def decrypt(self, sealed: bytes, *context: str) -> bytes:
        """Decrypt what was encrypted with this context.

        Raises:
            DecryptionError: another context or another key, or the bytes were changed.
        """
        try:
            return self._aes.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _joined(context))
        except (InvalidTag, ValueError) as error:
            raise DecryptionError from error

    def encrypt_json(self, value: Any, *context: str) -> bytes:
        """As :meth:`encrypt`, of JSON types."""
        return self.encrypt(json.dumps(value, allow_nan=False).encode(), *context)

    def decrypt_json(self, sealed: bytes, *context: str) -> Any:
        """As :meth:`decrypt`, of JSON types."""
        return json.loads(self.decrypt(sealed, *context))

    def digest(self, *names: str) -> bytes:
        """HMAC-SHA-256 of names: without the key they can be neither read nor guessed."""
        return hmac.digest(self._derived(b"digest"), _joined(names), hashlib.sha256)

    @property
    def _aes(self) -> AESGCM:
        return AESGCM(self._derived(b"seal"))

    def _derived(self, use: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"dermafed store " + use).derive(self.key)


def _joined(names: tuple[str, ...]) -> bytes:
    """Names as bytes; different names give different bytes."""
    return json.dumps(names).encode()


def make_key(path: Path) -> None:
    """Write a new key, 64 hexadecimal digits, to a file that is not there.

    Raises:
        StorageError: the file cannot be written.
    """
    write_private(path, f"{os.urandom(KEY_BYTES).hex()}\n".encode())


def read_key(path: Path) -> StoreCipher:
    """The cipher of a key file.

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
    return StoreCipher(key)


@dataclass(frozen=True, slots=True)
class EncryptedFiles:
    """Files by id and kind, each encrypted with these two as context.

    Until the database has its id, the name of a file ends in ``.part``: only such files are ever removed
    because no row knows them. All others stay, since it may be the database that was lost.
    """

    folder: Path
    cipher: StoreCipher

    def write(self, id: str, parts: Mapping[str, bytes]) -> None:
        """Write the files of an id that no row has yet, by kind; they are on the disk when this returns.

        Raises:
            StorageError: they cannot be written.
        """
        try:
            for kind, data in parts.items():
                _write_through(self._part(id, kind), self.cipher.encrypt(data, kind, id))
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def settle(self, id: str) -> None:
        """Give the files of an id their names, once its row is on the disk; if not here, the sweep does."""
        with suppress(OSError):
            for kind in KINDS:
                with suppress(FileNotFoundError):
                    self._part(id, kind).rename(self._path(id, kind))

    def read(self, id: str, kind: str) -> bytes:
        """The content of a file.

        Raises:
            StorageError: it is missing, damaged, or that of another id or kind.
        """
        path = self._path(id, kind)
        try:
            return self.cipher.decrypt(self._bytes(id, kind), kind, id)
        except FileNotFoundError:
            what = "A file of the store is missing"
        except OSError as error:
            what = f"A file of the store cannot be read: {error.strerror}"
        except DecryptionError:
            what = "A file of the store is damaged, or is the file of another id"
        raise StorageError(what, where=path, remedy="Restore the store from your backup")

    def remove(self, *ids: str) -> None:
        """Remove the files of ids, if there are any.

        Raises:
            StorageError: they cannot be removed.
        """
        self._remove(path(id, kind) for id in ids for kind in KINDS for path in (self._path, self._part))

    def sweep(self, known: Collection[str], gone: Collection[str]) -> int:
        """Remove what a death left half written, and what it left of ids that are gone.

        Args:
            known: ids whose files are stored.
            gone: ids whose files were removed.

        Returns:
            How many whole files belong to no id; these are never removed.

        Raises:
            StorageError: files cannot be removed.
        """
        unknown, leftover = 0, []
        names = os.listdir(self.folder)  # noqa: PTH208  (of hundred thousands, paths would take seconds)
        for name in names:
            id, half = name.partition(".")[0], name.endswith(_PART)
            if half and id in known:
                self.settle(id)
            elif half or (id in gone and id not in known):
                leftover.append(self.folder / name)
            elif id not in known:
                unknown += 1
        self._remove(leftover)
        return unknown

    def _remove(self, paths: Iterable[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def _bytes(self, id: str, kind: str) -> bytes:
        try:
            return self._path(id, kind).read_bytes()
        except FileNotFoundError:
            with suppress(FileNotFoundError):
                return self._part(id, kind).read_bytes()
            return self._path(id, kind).read_bytes()  # it was settled in between

    def _path(self, id: str, kind: str) -> Path:
        return self.folder / f"{id}.{kind}"

    def _part(self, id: str, kind: str) -> Path:
        return self.folder / f"{id}.{kind}{_PART}"


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
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask
        file.write(data)
        file.flush()
        os.fsync(descriptor)
