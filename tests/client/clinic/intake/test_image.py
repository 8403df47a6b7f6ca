"""Image files from outside: right pixels from good ones, and nothing but pixels."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.image import MAX_PIXELS, read_jpeg_layout
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.imaging.decoding import decode_image
from tests.client.clinic.intake.image_kinds import ZIP, exif, many_scans, other_profile, several_pictures
from tests.client.clinic.intake.sample_files import (
    chunk,
    jpeg,
    png,
    skin,
    with_chunks,
    with_segments,
    without_jfif,
)
from tests.shared.imaging.real_images import DEVICE, needs_real_images


def codes(data: bytes) -> set[str]:
    return {caution.code for caution in receive(data).cautions}


def test_a_png_gives_its_pixels_and_digest() -> None:
    received = receive(png(), Clinical(54, "female", "back"))
    assert np.array_equal(received.image, skin())
    assert received.sha256 == hashlib.sha256(png()).hexdigest()
    assert received.clinical == Clinical(54, "female", "back")
    assert received.reference is None


@needs_real_images
def test_a_device_s_jpeg_gives_the_pixels_that_training_saw() -> None:
    data = sorted(DEVICE.glob("*.jpg"))[0].read_bytes()
    assert np.array_equal(receive(data).image, decode_image(data))


@settings(max_examples=40, deadline=None)
@given(st.integers(32, 80), st.integers(32, 80), st.integers(0, 2**32 - 1))
def test_any_png_is_received_as_it_is(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(receive(png(pixels)).image, pixels)


def test_rotation_is_applied_and_its_exif_dropped() -> None:
    upright = np.rot90(decode_image(jpeg()), -1)  # EXIF 6: the camera was turned
    assert np.array_equal(receive(jpeg(exif=exif())).image, upright)


@pytest.mark.parametrize("data", [jpeg() + ZIP, jpeg() + bytes(512)])
def test_what_follows_the_end_changes_no_pixel(data: bytes) -> None:
    assert np.array_equal(receive(data).image, receive(jpeg()).image)


def test_the_first_of_several_pictures_counts() -> None:
    assert np.array_equal(receive(several_pictures()).image, receive(jpeg()).image)


def test_another_profile_than_srgb_has_a_caution() -> None:
    assert "profile" in codes(other_profile())
    assert "profile" not in codes(jpeg())


@pytest.mark.parametrize(
    ("data", "colours"),
    [
        (jpeg(), "YCbCr"),
        (without_jfif(jpeg(subsampling=2)), "YCbCr"),
        (without_jfif(jpeg(subsampling=0)), None),
        (with_segments((0xEE, b"Adobe" + bytes(7)), data=without_jfif(jpeg())), "RGB"),
        (with_segments((0xEE, b"Adobe" + bytes(7))), "YCbCr"),  # JFIF counts before Adobe, as in libjpeg
    ],
)
def test_the_colours_of_a_jpeg_are_read_from_its_markers(data: bytes, colours: str | None) -> None:
    layout = read_jpeg_layout(data)
    assert (layout.size, layout.components, layout.colours) == ((64, 48), 3, colours)


def test_scans_behind_the_picture_s_end_do_not_count() -> None:
    assert receive(jpeg() + many_scans()).image.shape == (48, 64, 3)


@pytest.mark.parametrize("data", [jpeg(), png(), with_chunks(chunk(b"tEXt", b"a\0b"))])
def test_many_at_once_are_received_alike(data: bytes) -> None:
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: got.append(pickle.dumps(receive(data).image))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1


def test_the_largest_picture_takes_less_than_a_gigabyte() -> None:
    """In a process of its own: a progressive JPEG, turned, of the most pixels that are taken.

    ``getrusage`` would name the tests' own memory, which it passes on to a new program.
    """
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dermafed.client.clinic.intake.receive import receive\n"
        "assert receive(sys.stdin.buffer.read()).image.shape == (8333, 6000, 3)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    pixels: NDArray[np.uint8] = np.repeat(np.repeat(skin(60, 84), 100, axis=0), 100, axis=1)[:6000, :8333]
    assert MAX_PIXELS - 6000 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    data = jpeg(pixels, progressive=True, exif=exif())
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert int(done.stdout) < 2**20  # kilobytes


def test_a_refusal_can_be_sent_between_processes() -> None:
    with pytest.raises(Refused) as caught:
        receive(b"")
    assert pickle.loads(pickle.dumps(caught.value)).to_dict() == caught.value.to_dict()
