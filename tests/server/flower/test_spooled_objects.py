"""Large objects are in files, which nobody else reads, and which go with the object."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.server.flower.private_names import ObjectTree
from dermafed.server.flower.spooled_objects import LARGE, SpooledObjects

SMALL, BIG, ROOT = ("1" * 64, "2" * 64, "3" * 64)
TREE = ObjectTree(object_id=ROOT, children=[ObjectTree(object_id=name) for name in (SMALL, BIG)])
CONTENT = bytes(range(256)) * (LARGE // 256)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(folder: Path) -> SpooledObjects:
    made = SpooledObjects(folder)
    assert sorted(made.preregister(7, TREE)) == [SMALL, BIG, ROOT]
    made.put(SMALL, CONTENT[:-1])
    made.put(BIG, CONTENT)
    return made


def test_what_is_stored_comes_back(store: SpooledObjects) -> None:
    assert (store.get(SMALL), store.get(BIG), store.get(ROOT), store.get("4" * 64)) == (
        CONTENT[:-1],
        CONTENT,
        b"",
        None,
    )
    assert (store.has(BIG), store.has(ROOT), store.has("4" * 64)) == (True, False, False)
    assert store.preregister(8, TREE) == [ROOT]


def test_only_the_large_one_is_in_a_file_which_is_its_owners(store: SpooledObjects, folder: Path) -> None:
    (file,) = folder.iterdir()
    assert (file.read_bytes(), file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (
        CONTENT,
        0o600,
        0o700,
    )


def test_an_object_that_comes_again_takes_no_more_of_the_disk(store: SpooledObjects, folder: Path) -> None:
    store.put(BIG, CONTENT)
    assert len(list(folder.iterdir())) == 1


def test_a_file_goes_with_its_object(store: SpooledObjects, folder: Path) -> None:
    store.delete(ROOT)
    assert (len(store), list(folder.iterdir())) == (0, [])
    store.preregister(7, TREE)
    store.put(BIG, CONTENT)
    store.delete_objects_in_run(7)
    assert (len(store), list(folder.iterdir())) == (0, [])


def test_files_of_a_process_that_died_are_deleted(store: SpooledObjects, folder: Path) -> None:
    assert list(folder.iterdir())
    SpooledObjects(folder)
    assert list(folder.iterdir()) == []
