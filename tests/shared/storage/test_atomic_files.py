"""Files appear whole or not at all, and private ones are private from their first byte on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from dermafed.shared.errors import DermaFedError
from dermafed.shared.storage.atomic_files import append, write_atomically, write_json, write_private


def full(descriptor: int) -> None:
    """The disk, in place of ``os.fsync``."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"a longer content")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DermaFedError, match=r"No space left on device.*Free some disk space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_added_comes_after_what_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    append(path, b"two\n")
    append(path, b"half")
    append(path, b"three\n", after=8)
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_full_disk_leaves_what_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\nhalf")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DermaFedError, match=r"No space left on device.*Free some disk space"):
        append(path, b"two\n", after=4)
    assert path.read_bytes().startswith(b"one\n")
    with pytest.raises(DermaFedError, match="No such file"):
        append(tmp_path / "b.log", b"one\n")


def test_json_is_readable_and_strict(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"name": "Zürich", "auc": None, "images": [1, 2]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Zürich", "auc": None, "images": [1, 2]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"auc": float("nan")})
    assert "Zürich" in path.read_text(encoding="utf-8")


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DermaFedError, match="Choose a folder that can be written"):
        write_atomically(tmp_path / "file" / "a.bin", b"new")


def test_a_private_file_is_private_from_its_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    replacing = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(self.stat().st_mode & 0o777)
        return replacing(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_private(tmp_path / "key", b"secret")
    assert seen == [0o600]
