"""Plants secrets in a clinic, and searches for all forms in which they could leave it."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SIDE = 64  # pixels, of the images and of the network's input: nothing is resized
STAMP = slice(24, 28)  # rows that all images of a clinic share
PIECE = 16  # pixels of a row to search for
SHORTEST = 8  # bytes: fewer could occur by chance
CLASSES = ("melanoma", "nevus")

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALES = {
    "0 to 255": lambda pixels: pixels,
    "0 to 1": lambda pixels: pixels / 255,
    "-1 to 1": lambda pixels: pixels / 127.5 - 1,
    "standardised": lambda pixels: (pixels / 255 - IMAGENET_MEAN) / IMAGENET_STD,
}

Needles = dict[bytes, str]
"""Bytes that must not occur, with their descriptions."""


@dataclass(frozen=True)
class Secret:
    """A clinic's secret.

    Attributes:
        patient: the patient's name; its parts are secrets too.
        file: prefix of the file names.
        seed: seed of the pixels.
    """

    patient: str
    file: str
    seed: int

    @property
    def stamp(self) -> NDArray[np.uint8]:
        """Pixels of this clinic only, uint8 (rows, SIDE, 3), without 0."""
        return np.random.default_rng(self.seed).integers(1, 256, (4, SIDE, 3), np.uint8)

    def needles(self) -> Needles:
        """Every form of the names and of the pixels."""
        texts = [self.patient, *self.patient.split(), self.file, *self.file.split("_")]
        forms = [(form, f"{text!r}, {how}") for text in texts for form, how in text_forms(text)]
        for number, row in enumerate(self.stamp):
            forms += [(form, f"row {number} of pixels, {how}") for form, how in pixel_forms(row[:PIECE])]
        return dict(reversed(forms))  # of two descriptions of the same bytes, the first


def plant(folder: Path, secret: Secret, images: int = 24) -> Path:
    """A data set that is full of the secret: names of folder and files, metadata, manifest, pixels."""
    folder = folder / secret.file
    folder.mkdir(parents=True)
    random = np.random.default_rng(secret.seed + 1)
    lines = ["image_id,diagnosis,patient_id,lesion_id,patient_name,clinic"]
    for number in range(images):
        label, name = CLASSES[number % 2], f"{secret.file}_{number}"
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) // 4 + (96 if number % 2 else 32)
        pixels[STAMP] = secret.stamp
        text = PngInfo()
        text.add_itxt("Description", secret.patient)
        exif = Image.Exif()
        exif[0x010E], exif[0x013B] = secret.patient, secret.patient  # ImageDescription, Artist
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png", pnginfo=text, exif=exif)
        who = f"{secret.patient} {number}"
        lines.append(f"{name},{label},{who},{name}-lesion,{who},{secret.patient}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def text_forms(original: str) -> Iterator[tuple[bytes, str]]:
    """A text as bytes, in the encodings that programs use."""
    variants = {original.lower(), original.upper(), original.replace(" ", "_"), original.replace(" ", "")}
    for text in {original} | variants:
        for code in ("utf-8", "latin-1", "utf-16-le"):
            yield from byte_forms(text.encode(code), code)
        yield urllib.parse.quote(text).encode(), "as in an address"
        yield json.dumps(text)[1:-1].encode(), "as in JSON"


def pixel_forms(row: NDArray[np.uint8]) -> Iterator[tuple[bytes, str]]:
    """A piece (N, 3) of an image as bytes, in the forms of arrays."""
    for turned, way in ((row, ""), (row[::-1], "mirrored, ")):
        for pixels, order in ((turned, "RGB"), (turned[:, ::-1], "BGR"), (turned.T, "planes")):
            for channels in pixels if order == "planes" else (pixels,):
                yield from byte_forms(channels.tobytes(), f"{way}{order}, uint8")
        for scale, scaled in SCALES.items():
            values = scaled(turned.astype(np.float64))
            for dtype in (np.float32, np.float16):
                for pixels in (values, values[:, ::-1], *values.T):
                    yield from byte_forms(pixels.astype(dtype).tobytes(), f"{way}{scale}, {dtype.__name__}")


def byte_forms(content: bytes, how: str) -> Iterator[tuple[bytes, str]]:
    """Bytes as they are, in hexadecimal, and in base64 at any offset of the encoded text."""
    yield content, how
    yield content.hex().encode(), f"{how}, hexadecimal"
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content)
        # Without characters that also encode a bit of the text before or after.
        inner = encoded[(8 * before + 5) // 6 : 4 * ((before + len(content)) // 3)]
        yield inner, f"{how}, base64"
        yield inner.translate(bytes.maketrans(b"+/", b"-_")), f"{how}, base64 for addresses"


def search(folder: Path, needles: Needles) -> dict[str, set[str]]:
    """The needles in each file of a folder: in its name, its bytes, or the unpacked content."""
    usable = {needle: text for needle, text in needles.items() if len(needle) >= SHORTEST}
    found = {}
    for path in sorted(folder.rglob("*")):
        names = str(path.relative_to(folder)).encode()
        contents = read_all(path.read_bytes()) if path.is_file() else ()
        hits = {hit for content in (names, *contents) for hit in occurring(content, usable)}
        if hits:
            found[str(path.relative_to(folder))] = hits
    return found


def read_all(content: bytes) -> Iterator[bytes]:
    """The content, and all content that zlib, gzip or zip packed anywhere in it."""
    yield content
    view = memoryview(content)
    for match in re.finditer(rb"PK\x03\x04.{26}|\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", content, re.DOTALL):
        start, bits = match.start(), zlib.MAX_WBITS | 32
        if match.group().startswith(b"PK"):
            name, extra = (int.from_bytes(match.group()[at : at + 2], "little") for at in (26, 28))
            start, bits = start + 30 + name + extra, -zlib.MAX_WBITS
        try:
            unpacked = zlib.decompressobj(bits).decompress(view[start:], 1 << 28)
        except zlib.error:
            continue
        if len(unpacked) >= SHORTEST:
            yield unpacked


def occurring(content: bytes, needles: Needles, block: int = 1 << 24) -> set[str]:
    """The needles in the content; compares only at places with the first three bytes of one."""
    known = np.zeros(1 << 24, bool)
    known[[int.from_bytes(needle[:3], "little") for needle in needles]] = True
    by_start: dict[bytes, list[bytes]] = {}
    for needle in needles:
        by_start.setdefault(needle[:3], []).append(needle)
    found = set()
    for place in places(content, known, block):
        for needle in by_start[content[place : place + 3]]:
            if content.startswith(needle, place):
                found.add(needles[needle])
    return found


def places(content: bytes, known: NDArray[np.bool_], block: int) -> Iterable[int]:
    data = np.frombuffer(content, np.uint8)
    for start in range(0, max(0, len(data) - 2), block):
        part = data[start : start + block + 2].astype(np.uint32)
        yield from (np.flatnonzero(known[part[:-2] | part[1:-1] << 8 | part[2:] << 16]) + start).tolist()
