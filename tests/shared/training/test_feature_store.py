"""Features on disk: whole, private, bounded, and refused before the work where they do not fit."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dermafed.shared.errors import ModelError, StorageError
from dermafed.shared.training import feature_store
from dermafed.shared.training.feature_store import FeatureStore, bytes_of

SHAPE = (5, 2, 3)
VALUES = np.arange(30, dtype=np.float32).reshape(SHAPE)


def halves() -> list[np.ndarray]:
    return [VALUES[:3], VALUES[3:]]


def test_parts_become_one_array_that_is_read_from_the_disk(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    assert store.load("ab", SHAPE, np.float16) is None
    saved = store.save("ab", SHAPE, np.float16, halves())
    found = store.load("ab", SHAPE, np.float16)
    for array in (saved, found):
        assert isinstance(array, np.memmap)
        assert array.dtype == np.float16
        np.testing.assert_array_equal(array, VALUES)
    assert (tmp_path / "features" / "ab.npy").stat().st_size == bytes_of(SHAPE, np.float16) + 128
    assert list((tmp_path / "unfinished").iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", "cut", "shape", "type"])
def test_what_is_damaged_or_another_is_absent(tmp_path: Path, damage: Any) -> None:
    store = FeatureStore(tmp_path)
    store.save("ab", SHAPE, np.float16, halves())
    path = tmp_path / "features" / "ab.npy"
    if damage == "cut":
        damage = path.read_bytes()[:-1]
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    shape = (5, 6) if damage == "shape" else SHAPE
    dtype = np.float32 if damage == "type" else np.float16
    assert store.load("ab", shape, dtype) is None
    np.testing.assert_array_equal(store.save("ab", SHAPE, np.float16, halves()), VALUES)


def test_an_interrupted_array_leaves_nothing(tmp_path: Path) -> None:
    def parts() -> Any:
        yield VALUES[:3]
        raise KeyboardInterrupt

    store = FeatureStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.save("ab", SHAPE, np.float16, parts())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("value", [np.nan, np.inf, 70_000.0])
def test_features_that_half_precision_cannot_hold_are_refused(tmp_path: Path, value: float) -> None:
    parts = [np.full(SHAPE, value, np.float32)]
    with pytest.raises(ModelError, match="not finite in 16 bits"):
        FeatureStore(tmp_path).save("ab", SHAPE, np.float16, parts)
    assert FeatureStore(tmp_path).load("ab", SHAPE, np.float16) is None


def test_more_than_the_bound_is_refused_before_the_work(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, most_bytes=10 * 10**9)
    store.make_room([])
    with pytest.raises(StorageError, match=r"take 12\.0 GB, more than 10\.0 GB.*Ask for fewer views"):
        store.make_room([4 * 10**9, 4 * 10**9], present=4 * 10**9)


def test_a_full_disk_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=2 * 10**9)
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda path: usage)
    store = FeatureStore(tmp_path)
    store.make_room([10**9])
    with pytest.raises(
        StorageError, match=r"take 2\.5 GB, and the disk has 1\.9 GB for them.*DERMAFED_CACHE"
    ):
        store.make_room([25 * 10**8])
    usage.free = 0
    store.make_room([])  # what is there can still be used


def test_a_disk_that_fills_up_in_the_work_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(feature_store.os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device.*Free some space"):
        FeatureStore(tmp_path).save("ab", SHAPE, np.float16, halves())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_cache_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Set DERMAFED_CACHE"):
        FeatureStore(tmp_path / "file").make_room([1])


def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    size = bytes_of(SHAPE, np.float16) + 128
    store = FeatureStore(tmp_path, most_bytes=3 * size)
    for age, key in ((30, "aa"), (20, "bb"), (10, "cc")):
        store.save(key, SHAPE, np.float16, halves())
        path = tmp_path / "features" / f"{key}.npy"
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    opened = store.load("aa", SHAPE, np.float16)  # used now, so the last to go
    store.make_room([size], present=size)
    assert sorted(path.stem for path in (tmp_path / "features").iterdir()) == ["aa", "cc"]
    store.clear()
    assert list((tmp_path / "features").iterdir()) == []
    np.testing.assert_array_equal(opened, VALUES)  # an array in use stays readable
    FeatureStore(tmp_path / "none").clear()
