"""The cache: the same pixels as without it, whatever dies, races or rots."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermafed.shared.errors import DermaFedError, ImageError
from dermafed.shared.imaging import cache
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.cache_entry import read_entry, write_entry
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.pipeline import Preprocessed, preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from tests.paths import ROOT
from tests.shared.imaging.real_images import ham_paths, needs_real_images

PLAIN = PreprocessSettings(image_size=32, denoise="none", clahe_grid=4)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(12):
        pixels = generator.integers(0, 256, (40, 50 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> PreprocessCache:
    return PreprocessCache(tmp_path / "cache")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every image that is preprocessed rather than found."""
    calls: list[int] = []

    def counting(*arguments: object) -> Preprocessed:
        calls.append(1)
        return preprocess(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "preprocess", counting)
    return calls


def entries(store: PreprocessCache) -> list[Path]:
    return sorted(path for path in store.folder.glob("*/??/*") if path.is_file())


def test_first_and_second_load_give_what_preprocess_gives(
    store: PreprocessCache, paths: list[Path], computed: list[int]
) -> None:
    expected = [preprocess(read_image(path), PLAIN) for path in paths]
    for _ in range(2):
        loaded = store.load(paths, PLAIN)
        assert loaded.images.shape == (12, 32, 32, 3)
        assert np.array_equal(loaded.images, np.stack([each.image for each in expected]))
        assert np.array_equal(loaded.noise_sigmas, [each.noise_sigma for each in expected])
        assert np.array_equal(loaded.denoised, [each.denoised for each in expected])
        assert np.array_equal(loaded.positions, range(12))
        assert loaded.skipped == ()
    assert len(computed) == 12


def test_the_key_is_content_and_settings_and_version(
    store: PreprocessCache, paths: list[Path], computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.load(paths[:1], PLAIN)
    renamed = paths[0].rename(paths[0].with_name("renamed.png"))
    store.load([renamed], PLAIN)
    assert len(computed) == 1
    store.load([renamed], PreprocessSettings(image_size=32, denoise="none", clahe=False, clahe_grid=4))
    assert len(computed) == 2
    renamed.write_bytes(paths[1].read_bytes())
    changed = store.load([renamed], PLAIN)
    assert np.array_equal(changed.images[0], preprocess(read_image(paths[1]), PLAIN).image)
    assert len(computed) == 3
    monkeypatch.setattr(cache, "PIPELINE_VERSION", cache.PIPELINE_VERSION + 1)
    store.load([renamed], PLAIN)
    assert len(computed) == 4


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(1, 12),
    seed=st.integers(0, 9),
    sigma=st.floats(0, allow_nan=False, width=64),
    denoised=st.booleans(),
    key=st.text(max_size=80),
)
def test_an_entry_round_trips_and_answers_to_its_own_key_alone(
    size: int, seed: int, sigma: float, denoised: bool, key: str
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ab" / "cd"
        write_entry(path, key, Preprocessed(image, sigma, denoised), Path(name))
        out = np.empty_like(image)
        assert read_entry(path, key, out) == (sigma, denoised)
        assert np.array_equal(out, image)
        assert read_entry(path, key + "x", out) is None
        assert read_entry(path, key, np.empty((size + 1, size, 3), np.uint8)) is None


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip_pixel(data: bytes) -> bytes:
    return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]


def _flip_sigma(data: bytes) -> bytes:
    return data[:42] + bytes([data[42] ^ 1]) + data[43:]


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _flip_pixel,
        _flip_sigma,
        lambda data: b"",
        lambda data: data + b"\0",
        lambda data: bytes(len(data)),
    ],
)
def test_a_damaged_entry_is_computed_again_and_repaired(
    store: PreprocessCache, paths: list[Path], computed: list[int], damage: Callable[[bytes], bytes]
) -> None:
    sound = store.load(paths, PLAIN)
    victim = entries(store)[3]
    whole = victim.read_bytes()
    victim.write_bytes(damage(whole))
    again = store.load(paths, PLAIN)
    assert np.array_equal(again.images, sound.images)
    assert np.array_equal(again.noise_sigmas, sound.noise_sigmas)
    assert victim.read_bytes() == whole
    assert len(computed) == 13


def test_an_entry_under_another_name_is_not_served(store: PreprocessCache, paths: list[Path]) -> None:
    sound = store.load(paths, PLAIN)
    first, second = entries(store)[:2]
    first.write_bytes(second.read_bytes())
    assert np.array_equal(store.load(paths, PLAIN).images, sound.images)


def test_bad_images_are_named_or_skipped(store: PreprocessCache, paths: list[Path]) -> None:
    good = store.load(paths, PLAIN)
    paths[2].write_bytes(paths[2].read_bytes()[:200])
    paths[7].write_bytes(b"")
    with pytest.raises(ImageError, match=r"02\.png"):
        store.load(paths, PLAIN)
    loaded = store.load(paths, PLAIN, on_bad="skip")
    rest = [0, 1, 3, 4, 5, 6, 8, 9, 10, 11]
    assert np.array_equal(loaded.positions, rest)
    assert np.array_equal(loaded.images, good.images[rest])
    assert np.array_equal(loaded.noise_sigmas, good.noise_sigmas[rest])
    assert [path.name for path, _ in loaded.skipped] == ["02.png", "07.png"]
    assert "empty" in loaded.skipped[1][1]


def test_nothing_but_bad_images_and_nothing_at_all(store: PreprocessCache, paths: list[Path]) -> None:
    paths[0].write_bytes(b"")
    assert store.load(paths[:1], PLAIN, on_bad="skip").images.shape == (0, 32, 32, 3)
    assert store.load([], PLAIN).images.shape == (0, 32, 32, 3)


def test_progress_counts_to_the_end(store: PreprocessCache, paths: list[Path]) -> None:
    seen: list[tuple[int, int]] = []
    store.load(paths, PLAIN, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 12) for done in range(1, 13)]


def test_an_interrupt_does_not_wait_for_the_rest(
    store: PreprocessCache, paths: list[Path], computed: list[int]
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.load(paths * 200, PLAIN, progress=interrupt, workers=1)
    assert len(computed) < 12 * 200
    assert len(store.load(paths, PLAIN).images) == 12


def test_files_are_for_their_owner_alone(store: PreprocessCache, paths: list[Path]) -> None:
    previous = os.umask(0)
    try:
        store.load(paths, PLAIN)
    finally:
        os.umask(previous)
    for path in [store.folder, *store.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_full_disk_is_a_clear_error_and_leaves_no_part(
    store: PreprocessCache, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DermaFedError, match=r"No space left on device .*Free some space") as caught:
        store.load(paths, PLAIN)
    assert caught.value.exit_code == 2
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path, paths: list[Path]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DermaFedError, match="cannot be used"):
        PreprocessCache(tmp_path / "file" / "cache").load(paths, PLAIN)


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DERMAFED_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, by the XDG specification
    assert default_cache_folder() == tmp_path / ".cache" / "dermafed"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_folder() == tmp_path / "xdg" / "dermafed"
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "mine"))
    assert default_cache_folder() == tmp_path / "mine"


WRITER = """
import os, signal, sys, threading
from pathlib import Path
from dermafed.shared.imaging.cache import PreprocessCache
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings

images, folder, fatal = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
calls, rename, turn = [], Path.replace, threading.Lock()

def replace(self, target):
    with turn:  # a thread that went on until the signal reached it would rename more
        calls.append(target)
        if len(calls) == fatal:  # its entry cut short under a temporary name
            os.truncate(self, 100)
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

Path.replace = replace
settings = PreprocessSettings(image_size=32, denoise="none", clahe_grid=4)
print(PreprocessCache(folder).load(sorted(images.iterdir()), settings, workers=2).images.sum())
"""


def start_writer(images: Path, store: PreprocessCache, fatal: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(images), str(store.folder), str(fatal)]
    root = ROOT
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def test_parallel_writers_agree(store: PreprocessCache, paths: list[Path], tmp_path: Path) -> None:
    writers = [start_writer(paths[0].parent, store, 0) for _ in range(3)]
    sums = {writer.communicate(timeout=60)[0].strip() for writer in writers}
    expected = PreprocessCache(tmp_path / "other").load(paths, PLAIN).images
    assert sums == {str(expected.sum())}
    assert len(entries(store)) == 12
    assert np.array_equal(store.load(paths, PLAIN).images, expected)
    assert list((store.folder / "unfinished").iterdir()) == []


def test_a_killed_writer_leaves_a_sound_cache(
    store: PreprocessCache, paths: list[Path], computed: list[int]
) -> None:
    writer = start_writer(paths[0].parent, store, 6)
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    survivors = len(entries(store))
    assert survivors == 5
    remains = list((store.folder / "unfinished").iterdir())
    assert remains

    loaded = store.load(paths, PLAIN)
    assert len(computed) == 12 - survivors  # every entry under its final name was whole
    assert np.array_equal(
        loaded.images, np.stack([preprocess(read_image(path), PLAIN).image for path in paths])
    )

    yesterday = time.time() - 86400
    for file in remains:
        os.utime(file, (yesterday, yesterday))
    store.load(paths, PLAIN)
    assert list((store.folder / "unfinished").iterdir()) == []


@needs_real_images
def test_real_images_with_bm3d(store: PreprocessCache) -> None:
    chosen = PreprocessSettings(image_size=64, sigma=4.0)
    real = ham_paths(3)
    first, second = store.load(real, chosen), store.load(real, chosen)
    assert np.array_equal(first.images, second.images)
    assert first.denoised.all()
