"""The search of the planted secret test finds every form, and nothing in other data."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.journeys.secrets import PIECE, Secret, occurring, plant, search

SECRET = Secret("Wilhelmine Obermöser", "obermoeser_19540312", seed=11)
NOISE = np.random.default_rng(5).bytes(300_000)
ROW = SECRET.stamp[2][:PIECE].astype(np.float64)
DEVIATION = np.array((0.229, 0.224, 0.225))

LEAKS = {
    "name": "Obermöser".encode(),
    "first name in capitals": b"WILHELMINE",
    "file name": b"obermoeser_19540312_7.png",
    "date": b"19540312",
    "JSON": b'{"who": "Wilhelmine Oberm\\u00f6ser"}',
    "address": b"/images/Wilhelmine%20Oberm%C3%B6ser",
    "UTF-16": "Obermöser".encode("utf-16-le"),
    **{f"base64 at {n}": base64.b64encode(b"x" * n + b"of Wilhelmine's") for n in range(3)},
    "hexadecimal": b"Wilhelmine".hex().encode(),
    "pixels": ROW.astype(np.uint8).tobytes(),
    "a channel": ROW[:, 1].astype(np.uint8).tobytes(),
    "mirrored BGR": ROW[::-1, ::-1].astype(np.uint8).tobytes(),
    "float32": ROW.astype(np.float32).tobytes(),
    "normalised": (ROW / 255).astype(np.float32).tobytes(),
    "standardised": ((ROW / 255 - (0.485, 0.456, 0.406)) / DEVIATION).astype(np.float32).tobytes(),
    "half": (ROW / 127.5 - 1).astype(np.float16).tobytes(),
    "float32 in base64": base64.b64encode(b"xy" + (ROW / 255).astype(np.float32).tobytes()),
}


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("array.npy", content)
    return file.getvalue()


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress, zipped])
def test_every_form_is_found(tmp_path: Path, leak: bytes, pack: object) -> None:
    packed = pack(b"before" + leak + b"after")  # type: ignore[operator]
    (tmp_path / "file").write_bytes(NOISE[:1001] + packed + NOISE[1001:])
    assert set(search(tmp_path, SECRET.needles())) == {"file"}


def test_names_of_files_are_searched_too(tmp_path: Path) -> None:
    (tmp_path / "Obermöser").mkdir()
    assert search(tmp_path, SECRET.needles()) == {"Obermöser": {"'Obermöser', utf-8"}}


def test_nothing_is_found_in_noise_or_in_another_clinics_data(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(NOISE)
    plant(tmp_path, Secret("Ottokar Zwerschina", "zwerschina_19610930", seed=12))
    assert search(tmp_path, SECRET.needles()) == {}


def test_planted_secrets_are_found_in_their_files(tmp_path: Path) -> None:
    data = plant(tmp_path, SECRET, images=2)
    found = search(tmp_path, SECRET.needles())
    assert set(found) == {str(path.relative_to(tmp_path)) for path in (data, *data.iterdir())}
    manifest = found["obermoeser_19540312/manifest.csv"]
    assert {"'Wilhelmine Obermöser', utf-8", "'obermoeser_19540312', utf-8"} <= manifest
    image = "obermoeser_19540312/obermoeser_19540312_1.png"
    assert "'Wilhelmine Obermöser', utf-8" in found[image]


def test_a_needle_across_two_blocks_is_found() -> None:
    content = NOISE + b"Wilhelmine" + NOISE
    needles = {b"Wilhelmine": "name"}
    for block in (len(NOISE) - 2, len(NOISE) + 1, len(NOISE) + 5):
        assert occurring(content, needles, block) == {"name"}
