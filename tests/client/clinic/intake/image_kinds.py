"""Kinds of image files."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageCms

from dermafed.client.clinic.intake.image import MAX_BYTES, MAX_CHUNKS, MAX_SCANS, MAX_SEGMENTS
from tests.client.clinic.intake.kinds import image, taken
from tests.client.clinic.intake.sample_files import (
    SECRET,
    chunk,
    encode,
    jpeg,
    png,
    skin,
    with_chunks,
    with_segments,
    with_size,
)

ZIP = b"PK\3\4" + bytes(26) + SECRET.encode()
BOMB = zlib.compress(bytes(40_000_000))


def animation() -> bytes:
    frames = [Image.fromarray(skin()), Image.fromarray(skin()[::-1])]
    return png(frames[0], save_all=True, append_images=frames[1:])


def several_pictures() -> bytes:
    other = Image.fromarray(skin()[::-1])
    return encode(skin(), "MPO", save_all=True, append_images=[other], quality=95)


def wide() -> bytes:
    done, data = cv2.imencode(".png", skin()[..., ::-1].astype(np.uint16) * 257)
    assert done
    return data.tobytes()


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x112], tags[0x10E] = 6, SECRET
    tags.get_ifd(0x8825)[1] = "N"
    return tags


def one_channel_more(transparent: int) -> bytes:
    return png(np.dstack([skin(), np.full((48, 64), 255 - transparent, np.uint8)]))


def many_scans() -> bytes:
    data = jpeg()
    scan = data[data.index(b"\xff\xda") : -2]
    return data[:-2] + scan * MAX_SCANS + data[-2:]


def with_scan(damage: Callable[[bytes], bytes]) -> bytes:
    """A JPEG whose scan is damaged."""
    data = jpeg()
    start = data.index(b"\xff\xda") + 14
    return data[:start] + damage(data[start:-2]) + data[-2:]


def of_12_bits() -> bytes:
    """A gray JPEG whose frame says so."""
    data = jpeg(skin()[..., 0])
    frame = data.index(b"\xff\xc0") + 4
    return data[:frame] + b"\x0c" + data[frame + 1 :]


def motion_photo() -> bytes:
    return jpeg() + b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x48free" + bytes(64)


def gray_border() -> bytes:
    return jpeg(cv2.copyMakeBorder(skin(), 16, 16, 0, 0, cv2.BORDER_CONSTANT, value=(128, 128, 128)))


def other_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    renamed = profile.replace(b"s\0R\0G\0B", b"D\0i\0s\0p").replace(b"sRGB", b"Disp")
    return jpeg(icc_profile=renamed)


NO_IMAGES = [
    image("empty", "nothing", lambda: b"", "empty", 400),
    image(
        "text", "text, HTML, SVG, a PDF, a program", lambda: b"<svg onload='x()'/>", "unsupported-type", 415
    ),
    image("gif", "GIF", lambda: encode(skin(), "GIF"), "unsupported-type", 415),
    image("tiff", "TIFF", lambda: encode(skin(), "TIFF"), "unsupported-type", 415),
    image("webp", "WebP", lambda: encode(skin(), "WEBP"), "unsupported-type", 415),
    image("bmp", "BMP", lambda: encode(skin(), "BMP"), "unsupported-type", 415),
    image("zip-first", "polyglot: a ZIP with a JPEG behind", lambda: ZIP + jpeg(), "unsupported-type", 415),
    image("too-large", "more bytes than the limit", lambda: jpeg() + bytes(MAX_BYTES), "too-large", 413),
]
DAMAGED = [
    image("jpeg-cut", "JPEG cut short", lambda: jpeg()[:-300], "damaged"),
    image("jpeg-cut-closed", "JPEG cut and closed again", lambda: jpeg()[:1200] + b"\xff\xd9", "damaged"),
    image("jpeg-zero-tail", "JPEG whose end is zeros", lambda: jpeg()[:1200] + bytes(2000), "damaged"),
    image(
        "jpeg-zeroed",
        "JPEG with a block of its scan zeroed",
        lambda: with_scan(lambda scan: scan[:200] + bytes(100) + scan[300:]),
        "damaged",
    ),
    image(
        "jpeg-doubled",
        "JPEG with a block of its scan doubled",
        lambda: with_scan(lambda scan: scan[:300] + scan[200:]),
        "damaged",
    ),
    image(
        "jpeg-line-ends",
        "JPEG sent as text: line ends translated",
        lambda: with_scan(lambda scan: scan.replace(b"\n", b"\r\n")),
        "damaged",
    ),
    image(
        "jpeg-bits",
        "JPEG with bits flipped",
        lambda: with_scan(lambda scan: bytes(byte ^ (at % 97 == 0) for at, byte in enumerate(scan))),
        "damaged",
    ),
    image("jpeg-head", "JPEG of a header only", lambda: jpeg()[:200], "damaged"),
    image("jpeg-signature", "JPEG of three bytes", lambda: jpeg()[:3], "damaged"),
    image("png-cut", "PNG cut short", lambda: png()[:-300], "damaged"),
    image("png-bits", "PNG with a wrong checksum", lambda: png()[:100] + b"?" + png()[101:], "damaged"),
    image("png-no-header", "PNG without header", lambda: png()[:8] + chunk(b"IEND", b""), "damaged"),
    image(
        "png-two-headers",
        "PNG with a second, larger header",
        lambda: with_chunks(with_size(png(), 9000, 9000)[8:33]),
        "too-many-pixels",
    ),
]
BOMBS = [
    image("pixel-bomb", "bomb in pixels", lambda: with_size(png(), 10_000, 9_000), "too-many-pixels"),
    image(
        "long-side", "a side of 60,000 pixels", lambda: jpeg(Image.new("L", (60_000, 40))), "too-many-pixels"
    ),
    image("ztxt-bomb", "bomb in zTXt", lambda: with_chunks(chunk(b"zTXt", b"a\0\0" + BOMB)), "damaged"),
    image("itxt-bomb", "bomb in iTXt", lambda: with_chunks(chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)), "damaged"),
    image("iccp-bomb", "bomb in iCCP", lambda: with_chunks(chunk(b"iCCP", b"a\0\0" + BOMB)), "damaged"),
    image("scan-bomb", "JPEG of very many scans", many_scans, "too-many-parts"),
    image(
        "segment-bomb",
        "JPEG of very many segments",
        lambda: with_segments(*[(0xFE, b"")] * MAX_SEGMENTS),
        "too-many-parts",
    ),
    image(
        "chunk-bomb",
        "PNG of very many chunks",
        lambda: with_chunks(*[chunk(b"prIv", b"")] * MAX_CHUNKS),
        "too-many-parts",
    ),
]
UNUSABLE = [
    image("cmyk", "CMYK", lambda: jpeg(Image.fromarray(skin()).convert("CMYK")), "colour-mode"),
    image("jpeg-12", "JPEG of 12 bits", of_12_bits, "bit-depth"),
    image("animation", "animated PNG", animation, "several-frames"),
    image("blank", "one colour and nothing else", lambda: jpeg(np.full((64, 64, 3), 90, np.uint8)), "blank"),
    image("invisible", "wholly transparent PNG", lambda: one_channel_more(255), "blank"),
    image("thumbnail", "a side under 32 pixels", lambda: jpeg(skin(31, 64)), "too-small"),
]
ODD = [
    taken("zip-behind", "polyglot: JPEG, a ZIP behind", lambda: jpeg() + ZIP, "what follows is dropped"),
    taken("html-behind", "polyglot: PNG, HTML behind", lambda: png() + b"<html>", "what follows is dropped"),
    taken("motion-photo", "motion photo: a film behind the JPEG", motion_photo, "what follows is dropped"),
    taken("gray-border", "JPEG with a border of 128 gray", gray_border, "its pixels"),
    taken("several-pictures", "JPEG of several pictures", several_pictures, "the first counts"),
    taken("gray", "gray", lambda: jpeg(skin()[..., 0]), "three equal channels; caution `gray`"),
    taken("gray-16", "16-bit gray", lambda: png(skin()[..., 0].astype(np.uint16) * 257), "the high byte"),
    taken("rgb-16", "16-bit colour", wide, "the high byte"),
    taken("alpha", "half transparent PNG", lambda: one_channel_more(128), "laid over white"),
    taken("palette", "PNG with a palette", lambda: png(Image.fromarray(skin()).quantize(64)), "its colours"),
    taken("rotated", "EXIF rotation", lambda: jpeg(exif=exif()), "applied"),
    taken("gps", "EXIF with GPS and names", lambda: jpeg(exif=exif()), "dropped"),
    taken("comment", "JPEG comment with a name", lambda: jpeg(comment=SECRET.encode()), "dropped"),
    taken(
        "text-chunk",
        "PNG text with a name",
        lambda: with_chunks(chunk(b"tEXt", b"a\0" + SECRET.encode())),
        "dropped",
    ),
    taken("profile", "ICC profile other than sRGB", other_profile, "taken as sRGB; caution `profile`"),
]
IMAGE_KINDS = NO_IMAGES + DAMAGED + BOMBS + UNUSABLE + ODD
