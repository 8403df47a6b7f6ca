"""The image reader: right pixels from good files, a named error from bad ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dermafed.shared.errors import ImageError
from dermafed.shared.imaging import decoding as images
from dermafed.shared.imaging.decoding import content_digest, decode_image, read_image
from dermafed.shared.imaging.jpeg_damage import jpeg_damage
from tests.shared.imaging.real_images import DEVICE, ham_paths, needs_real_images


def zeroed(scan: bytes) -> bytes:
    return scan[:1500] + bytes(512) + scan[2012:]


def doubled(scan: bytes) -> bytes:
    return scan[:1500] + scan[1000:1500] + scan[1500:]


def left_out(scan: bytes) -> bytes:
    return scan[:1500] + scan[2012:]


def with_dos_line_ends(scan: bytes) -> bytes:
    return scan.replace(b"\n", b"\r\n")


def of_seven_bits(scan: bytes) -> bytes:
    return bytes(byte & 0x7F for byte in scan)


def with_flipped_bits(scan: bytes) -> bytes:
    return bytes(byte ^ (0x20 if at % 97 == 0 else 0) for at, byte in enumerate(scan))


SCAN_DAMAGES = [zeroed, doubled, left_out, with_dos_line_ends, of_seven_bits, with_flipped_bits]

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def encode(image: Image.Image | NDArray[np.generic], kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_formats_round_trip(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    path = tmp_path / "lesion"
    path.write_bytes(encode(RGB, kind, **options))
    pixels = read_image(path)
    assert np.array_equal(pixels, RGB)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    # EXIF 2.3: what the viewer must do to the stored pixels.
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    exif = Image.Exif()
    exif[0x112] = orientation
    assert np.array_equal(decode_image(encode(RGB, exif=exif)), upright(RGB))


def test_gray_becomes_three_equal_channels() -> None:
    gray = RGB[..., 0]
    assert np.array_equal(decode_image(encode(gray)), np.stack([gray] * 3, axis=2))


def test_bilevel_becomes_black_and_white() -> None:
    bits = RGB[..., 0] > 127
    assert np.array_equal(decode_image(encode(bits))[..., 1], np.where(bits, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_high_byte_of_16_bit_gray_remains(kind: str) -> None:
    values = np.array([[0, 255, 256], [32768, 65279, 65535]], np.uint16)
    expected = np.array([[0, 0, 1], [128, 254, 255]], np.uint8)
    assert np.array_equal(decode_image(encode(values, kind))[..., 2], expected)


def test_the_high_byte_of_16_bit_colour_remains() -> None:
    wide = RGB.astype(np.uint16) * 256 + 17
    done, data = cv2.imencode(".png", wide[..., ::-1])
    assert done
    assert np.array_equal(decode_image(data.tobytes()), RGB)


def test_palette_gives_its_colours() -> None:
    image = Image.fromarray(RGB).quantize(16)
    assert np.array_equal(decode_image(encode(image)), np.asarray(image.convert("RGB")))


def test_transparency_lies_over_white() -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:6] = 0
    pixels = decode_image(encode(np.dstack([RGB, alpha])))
    assert (pixels[:6] == 255).all()
    assert np.array_equal(pixels[6:], RGB[6:])


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("F", "TIFF"), ("I", "TIFF"), ("LAB", "TIFF")])
def test_other_colour_modes_are_refused(mode: str, kind: str) -> None:
    with pytest.raises(ImageError, match=f"colour mode {mode}"):
        decode_image(encode(Image.new(mode, (8, 8)), kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_files_are_refused(kind: str, share: float) -> None:
    data = encode(np.tile(RGB, (8, 8, 1)), kind)
    with pytest.raises(ImageError):
        decode_image(data[: int(len(data) * share)])


def test_progressive_jpeg_is_read_whole_and_refused_in_part() -> None:
    data = encode(np.tile(RGB, (8, 8, 1)), "JPEG", progressive=True)
    assert decode_image(data).shape == (96, 160, 3)
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[: len(data) // 2])


def test_a_tail_of_zeros_is_refused_and_what_follows_the_end_is_not() -> None:
    data = encode(np.tile(RGB, (8, 8, 1)), "JPEG")
    half = len(data) // 2
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[:half] + bytes(len(data) - half))
    film = b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x48free" + bytes(64)
    assert np.array_equal(decode_image(data + film), decode_image(data))


def test_a_border_of_128_gray_is_part_of_the_image() -> None:
    image = np.full((60, 20, 3), 128, np.uint8)
    image[24:36] = RGB
    assert decode_image(encode(image, "JPEG"))[-1].tolist() == [[128] * 3] * 20


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_cut_and_closed_again_is_refused(progressive: bool, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encode(np.tile(RGB, (20, 20, 1)), "JPEG", progressive=progressive, exif=exif)
    start = data.rindex(b"\xff\xda") if not progressive else data.index(b"\xff\xda")
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data[: start + (2000 if not progressive else 200)] + b"\xff\xd9")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"gray": True}])
@pytest.mark.parametrize("damage", SCAN_DAMAGES, ids=lambda damage: damage.__name__)
def test_a_jpeg_whose_scan_is_damaged_is_refused(
    damage: Callable[[bytes], bytes], options: dict[str, bool]
) -> None:
    options = dict(options)
    image = np.tile(RGB, (20, 20, 1))[..., 0] if options.pop("gray", False) else np.tile(RGB, (20, 20, 1))
    data = encode(image, "JPEG", **options)
    start = data.rindex(b"\xff\xda") + 14
    assert decode_image(data).shape == (240, 400, 3)
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data[:start] + damage(data[start:-2]) + data[-2:])


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\7",  # a transformation of colours that Adobe never defined
        b"\xff\xe2\0\x13ICC_PROFILE\0\0\0abc",  # part 0 of 0
        b"\xff\xe0\0\x10JFIF\0\3\3\0\0\1\0\1\0\0",  # a version to come
    ],
)
def test_what_libjpeg_warns_of_outside_the_data_refuses_nothing(segment: bytes) -> None:
    data = encode(RGB, "JPEG")
    assert decode_image(data[:2] + segment + data[20:]).shape == RGB.shape


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "options", [{"keep_rgb": True}, {"subsampling": 0}, {"subsampling": 2}, {"quality": 1}]
)
def test_whole_jpegs_of_every_kind_are_read(options: dict[str, object], progressive: bool) -> None:
    data = encode(RGB, "JPEG", progressive=progressive, **options)
    filled = data[:2] + b"\xff\xff" + data[2:]
    with Image.open(BytesIO(data)) as expected:
        assert np.array_equal(decode_image(data), np.asarray(expected))
        assert np.array_equal(decode_image(filled), np.asarray(expected))


@pytest.mark.parametrize(
    "data", [b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a" + bytes(40), b"\xff\xd8\xff"]
)
def test_files_that_are_not_images_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(data)


@pytest.mark.filterwarnings("ignore")  # Pillow's own remarks on damaged tags
def test_damaged_bytes_never_escape_as_another_error() -> None:
    generator = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "BMP"):
        whole = np.frombuffer(encode(RGB, kind), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[generator.integers(0, len(damaged), 6)] = generator.integers(0, 256, 6)
            with suppress(ImageError):
                assert decode_image(damaged.tobytes()).ndim == 3


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="10000 x 9000 pixels"):
        decode_image(encode(Image.new("1", (10000, 9000))))
    with pytest.raises(ImageError, match="too many pixels"):  # where Pillow itself refuses
        decode_image(encode(Image.new("1", (20000, 10000))))
    monkeypatch.setattr(images, "MAX_PIXELS", 239)
    with pytest.raises(ImageError, match="20 x 12 pixels"):
        decode_image(encode(RGB))


def test_file_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty .*empty\.jpg"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match=r"no such image file .*gone\.jpg"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="no such image file"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="no such image file"):
        read_image(tmp_path / "pipe.jpg")
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    (tmp_path / "long.png").write_bytes(encode(RGB))
    with pytest.raises(ImageError, match="larger than"):
        read_image(tmp_path / "long.png")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(encode(RGB))

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match="Permission denied"):
        read_image(path)


def test_content_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert content_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_digest(path) == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("size", [(16, 16), (37, 53), (8, 1), (1, 33)])
def test_a_colour_jpeg_has_the_pixels_that_pillow_decodes(
    sampling: str, size: tuple[int, int], progressive: bool
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = simplejpeg.encode_jpeg(pixels, 90, "RGB", sampling)
    if progressive:
        data = encode(Image.open(BytesIO(data)), "JPEG", progressive=True, quality="keep")
    with Image.open(BytesIO(data)) as expected:
        np.testing.assert_array_equal(decode_image(data), np.asarray(expected))


@pytest.mark.parametrize("orientation", range(10))
def test_a_colour_jpeg_is_turned_as_pillow_turns_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encode(RGB, "JPEG", exif=exif)
    with Image.open(BytesIO(data)) as expected:
        turned = np.asarray(ImageOps.exif_transpose(expected))
    pixels = decode_image(data)
    np.testing.assert_array_equal(pixels, turned)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@needs_real_images
def test_real_images_have_the_pixels_that_pillow_decodes() -> None:
    for path in [*ham_paths(20), *sorted(DEVICE.glob("*.jpg"))]:
        with Image.open(path) as expected:
            np.testing.assert_array_equal(read_image(path), np.asarray(ImageOps.exif_transpose(expected)))


@needs_real_images
def test_no_real_image_is_called_damaged() -> None:
    for path in [*ham_paths(200), *sorted(DEVICE.glob("*.jpg"))]:
        assert jpeg_damage(path.read_bytes()) is None


@needs_real_images
def test_real_images_agree_with_another_decoder() -> None:
    for path in [*ham_paths(3), *sorted(DEVICE.glob("*.jpg"))[:2]]:
        other = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(read_image(path).astype(int) - other).max() <= 1
