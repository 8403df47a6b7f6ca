"""The server's disk is full in mid-run: a file system of the test's own that has no byte left."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.federation import SERVER, Federation
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow

SPARE_BYTES = 2**29


def mount(folder: Path) -> None:
    """A disk in memory in the place of a folder, with its files."""
    before = folder.with_name(f"{folder.name}.before")
    folder.rename(before)
    folder.mkdir(0o700)
    used = sum(path.stat().st_size for path in before.rglob("*") if path.is_file())
    options = f"size={used + SPARE_BYTES},mode=700"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
    if done.returncode == 0:
        shutil.copytree(before, folder, dirs_exist_ok=True)
        shutil.rmtree(before)
        return
    folder.rmdir()
    before.rename(folder)
    pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")


def unmount(folder: Path) -> None:
    after = folder.with_name(f"{folder.name}.after")
    shutil.copytree(folder, after)
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    after.rename(folder)


def fill(folder: Path) -> Path:
    """Write until not one byte more can be written."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(2**20)):
            pass
    assert shutil.disk_usage(folder).free == 0
    return path


def checkpoints(federation: Federation, name: str) -> dict[str, bytes]:
    """The run's states on the server's disk, by file name."""
    return {path.name: path.read_bytes() for path in federation.run_folder(name).glob("round-*.npz")}


def is_paused(federation: Federation, name: str) -> bool:
    return bool(federation.run(name)["status"] == "paused")


@pytest.fixture(params=["", "runs"], ids=["whole-folder", "runs"])
def disk(request: pytest.FixtureRequest, federation: Federation) -> Iterator[Path]:
    """The disk of the server's folder, or of its runs alone."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    federation.end(SERVER)
    folder = federation.server / request.param
    mount(folder)
    federation.start_server()
    try:
        yield folder
    finally:
        (folder / "ballast").unlink(missing_ok=True)
        federation.end(SERVER)
        unmount(folder)


def test_a_full_disk_pauses_the_run_and_loses_no_round(federation: Federation, disk: Path) -> None:
    name = f"full-{disk.name}"
    wait_for(lambda: federation.connected("graz", "linz"))
    federation.train(name)
    federation.in_round(name, 2, "graz")
    history = federation.history(name)
    before = checkpoints(federation, name)
    ballast = fill(disk)
    if disk == federation.server:
        # The record lies there too: it shows the pause at once if there is a page left for it.
        wait_for(lambda: "the disk is full" in federation.log(SERVER) or is_paused(federation, name))
        ballast.unlink()
    paused = federation.ends(name, "paused")
    assert "disk" in paused["why"]
    assert checkpoints(federation, name) == before
    assert federation.history(name) == history
    ballast.unlink(missing_ok=True)
    federation.coordinator("resume", name)
    federation.ends(name)
    federation.has_saved(name, history)
