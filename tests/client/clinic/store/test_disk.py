"""The store's disk is full: nothing is half saved, and all works again when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home
from dermafed.shared.errors import StorageError
from tests.client.clinic.store.samples import diagnosis, noise, prepared, received, save_one

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Home]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield Home(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Writes until `leave` bytes are left."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while (free := shutil.disk_usage(folder).free) > leave and file.write(
            bytes(min(free - leave, 2**16))
        ):
            pass
    return path


def files(home: Home) -> set[str]:
    return {path.name for path in (home.store / "files").iterdir()}


def until_full(do: Callable[[int], object], most: int) -> list[object]:
    """What was done before the disk was full, which it must be after `most` times."""
    done: list[object] = []
    with pytest.raises(StorageError, match="Free some disk space"):
        done.extend(do(number) for number in range(most))
    return done


@pytest.mark.parametrize("leave", [0, 4096, 3 * 4096, 40_000, 60_000, 200_000])
def test_a_full_disk_leaves_nothing_half_saved(disk: Home, leave: int) -> None:
    """From no room at all, to room for one file, to room for some but not for a row."""
    of = received(2, image=noise(2, 100, 120))
    with open_store(disk, 30) as store:
        made = [save_one(store, 1, "r-1")]
        ballast = fill(disk.folder, leave)

        def save(number: int) -> None:
            made.append(store.save(diagnosis(of, f"n-{number}"), of, prepared(2)))

        until_full(save, 30)
        assert files(disk) == {f"{each.id}.{kind}" for each in made for kind in ("image", "prepared")}
        opinions = until_full(
            lambda _: store.add_opinion(made[0].id, Opinion("dr", False, "melanoma", "x" * 2000)), 1000
        )
        objects = until_full(lambda _: store.quarantine(bytes(50_000), "burned-in", "camera-1"), 100)
        ballast.unlink()
        works_again(store, made[0])
        assert [replace(each, standing="current") for each in store.list_opinions(made[0].id)] == opinions
        assert [each.id for each in store.list_quarantined()] == objects
        assert [store.load(each.id) for each in made] == made
        assert all(store.load_prepared(each.id).any() for each in made)


def works_again(store: Store, first: Diagnosis) -> None:
    second = save_one(store, 3, "r-3")
    store.forget(second.id)
    third = save_one(store, 3, "r-3")
    assert store.find_request("camera-1", "r-3") == third
    assert store.load(first.id) == first


def test_a_store_cannot_be_made_on_a_full_disk_but_then_can(disk: Home) -> None:
    ballast = fill(disk.folder, 0)
    with pytest.raises(StorageError):
        open_store(disk, 30)
    ballast.unlink()
    with open_store(disk, 30) as store:
        save_one(store)
