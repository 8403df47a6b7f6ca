from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.fft
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermafed.shared.errors import ImageError
from dermafed.shared.imaging.bm3d import bm3d
from dermafed.shared.imaging.bm3d.bm3d import bm3d_rgb, from_opponent, to_opponent
from dermafed.shared.imaging.bm3d.collaborative import hadamard
from dermafed.shared.imaging.bm3d.matching import match_blocks, search_offsets
from dermafed.shared.imaging.bm3d.transforms import (
    add_lines,
    add_row,
    add_weights,
    dct_matrix,
    transform_lines,
    transform_row,
)
from tests.paths import SHARED

Image = NDArray[np.float32]


def random(*shape: int) -> Image:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def noisy(image: Image, sigma: float, seed: int = 1) -> Image:
    return (image + np.random.default_rng(seed).normal(0, sigma, image.shape)).astype(np.float32)


def psnr(image: Image, clean: Image) -> float:
    return float(-10 * np.log10(np.mean((image - clean) ** 2)))


@pytest.fixture(scope="module")
def drawn() -> Image:
    """A smooth blob with a network on a gradient, RGB in [0, 1], 96x100."""
    y, x = np.mgrid[:96, :100].astype(np.float64)
    blob = 1 / (1 + np.exp((np.hypot(y - 45, x - 52) - 28) / 2))
    network = 0.5 + 0.5 * np.sin(x / 2.5) * np.sin(y / 3)
    dark = blob * (0.35 + 0.15 * network)
    skin = np.array([0.85, 0.65, 0.55]) + 0.001 * x[..., np.newaxis]
    return np.asarray(skin - dark[..., np.newaxis] * [0.8, 1.0, 0.9], np.float32)


@pytest.fixture(scope="module")
def real() -> list[Image]:
    """The middle 72x72 pixels of two real images, RGB in [0, 1]."""
    folder = SHARED / "data" / "ham10000" / "images"
    paths = sorted(folder.glob("*.jpg"))[100::1500][:2]
    if not paths:
        pytest.skip(f"no real images in {folder}")
    return [read(path)[76:148, 76:148] for path in paths]


def read(path: Path) -> Image:
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return np.asarray(pixels[..., ::-1], np.float32) / np.float32(255)


def test_dct_matrix_is_scipys() -> None:
    expected = scipy.fft.dct(np.eye(8), axis=0, norm="ortho")
    np.testing.assert_allclose(dct_matrix(), expected, atol=1e-6)


def test_every_block_of_a_row_has_scipys_dctn() -> None:
    plane = random(13, 21)
    lines, blocks = np.empty((13, 112), np.float32), np.empty((14, 64), np.float32)
    transform_lines(plane, lines)
    transform_row(lines, 3, blocks, np.empty((16, 112), np.float32))
    expected = [scipy.fft.dctn(plane[3:11, x : x + 8], norm="ortho").ravel() for x in range(14)]
    np.testing.assert_allclose(blocks, expected, atol=1e-5)


def test_overlap_add_is_the_windowed_inverse_dct() -> None:
    blocks, weights = random(14, 64), abs(random(14))
    numerator, denominator = np.ones((13, 21), np.float32), np.ones((13, 21), np.float32)
    lines = np.zeros((13, 112), np.float32)
    add_row(blocks, 2, lines, np.empty((16, 112), np.float32))
    add_lines(lines, numerator)
    add_weights(weights, 2, denominator, np.empty(21, np.float32))
    window = np.outer(np.kaiser(8, 2), np.kaiser(8, 2))
    expected, expected_weights = np.ones((13, 21)), np.ones((13, 21))
    for x in range(14):
        expected[2:10, x : x + 8] += window * scipy.fft.idctn(blocks[x].reshape(8, 8), norm="ortho")
        expected_weights[2:10, x : x + 8] += window * weights[x]
    np.testing.assert_allclose(numerator, expected, atol=1e-5)
    np.testing.assert_allclose(denominator, expected_weights, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_hadamard_is_scipys(count: int) -> None:
    stack = random(count, 64)
    transformed = stack.copy().ravel()
    hadamard(transformed)
    expected = scipy.linalg.hadamard(count) @ stack
    np.testing.assert_allclose(transformed.reshape(count, 64), expected, atol=1e-4)


def test_opponent_space_is_a_rotation_with_gray_on_the_first_axis() -> None:
    rgb = random(5, 6, 3).astype(np.float64)
    planes = to_opponent(rgb)
    np.testing.assert_allclose(from_opponent(planes), rgb, atol=1e-12)
    np.testing.assert_allclose((planes**2).sum(axis=0), (rgb**2).sum(axis=2), atol=1e-12)
    np.testing.assert_allclose(to_opponent(np.ones((1, 1, 3)))[:, 0, 0], [np.sqrt(3), 0, 0], atol=1e-12)


def test_matching_finds_the_nearest_blocks_of_the_search() -> None:
    plane, radius = random(24, 26), 6
    rows, columns = np.array([0, 9, 16]), np.array([0, 7, 18])
    offsets = search_offsets(radius)
    members = match_blocks(plane, rows, columns, offsets, 13, 8)
    for r, y in enumerate(rows):
        for c, x in enumerate(columns):
            distance = {
                (v % 13) * 19 + u: float(
                    ((plane[y : y + 8, x : x + 8] - plane[v : v + 8, u : u + 8]) ** 2).sum()
                )
                for v, u in [(y, x), *(np.array([y, x]) + offsets).tolist()]
                if 0 <= v <= 16 and 0 <= u <= 18
            }
            assert members[r, c].tolist() == sorted(distance, key=distance.__getitem__)[:8]


def test_offsets_are_dense_near_and_even_far() -> None:
    offsets = {(int(y), int(x)) for y, x in search_offsets(4)}
    assert len(offsets) == 24 + 16  # 5x5 without the centre; the rim of 5x5 even offsets
    assert {(1, -2), (4, -4), (0, 4)} <= offsets
    assert not {(0, 0), (3, 0), (4, 1)} & offsets


def test_a_drawn_image_comes_as_near_to_clean_as_with_the_package(drawn: Image) -> None:
    package = pytest.importorskip("bm3d", exc_type=ImportError)
    clean, sigma = drawn[12:76, 16:80], 15 / 255
    image = noisy(clean, sigma)
    assert psnr(bm3d_rgb(image, sigma), clean) > psnr(package.bm3d_rgb(image, sigma), clean) - 0.3


@pytest.mark.parametrize(
    "sigma", [pytest.param(5, marks=pytest.mark.slow), 15, pytest.param(25, marks=pytest.mark.slow)]
)
def test_real_images_come_as_near_to_clean_as_with_the_package(real: list[Image], sigma: int) -> None:
    package = pytest.importorskip("bm3d", exc_type=ImportError)
    differences = []
    for clean in real:
        image = noisy(clean, sigma / 255)
        reference = psnr(package.bm3d_rgb(image, sigma / 255), clean)
        differences.append(psnr(bm3d_rgb(image, sigma / 255), clean) - reference)
    assert np.mean(differences) > -0.3


@pytest.mark.parametrize(("sigma", "gain"), [(5, 4.0), (15, 7.0), (25, 8.0)])
def test_denoising_gains_decibels(drawn: Image, sigma: int, gain: float) -> None:
    image = noisy(drawn, sigma / 255)
    assert psnr(bm3d_rgb(image, sigma / 255), drawn) > psnr(image, drawn) + gain


def test_gray_is_denoised_as_the_luminance_of_gray_rgb(drawn: Image) -> None:
    gray = noisy(drawn[:40, :40, 0], 0.05)
    as_rgb = bm3d_rgb(np.repeat(gray[..., np.newaxis], 3, axis=2), 0.05 * np.sqrt(3))
    np.testing.assert_allclose(bm3d_rgb(gray, 0.05), as_rgb[..., 1], atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 300), shift=st.floats(-3, 3))
def test_affine_equivariance(drawn: Image, scale: float, shift: float) -> None:
    image = noisy(drawn[20:60, 30:80], 0.06)
    expected = scale * (bm3d_rgb(image, 0.06) + shift)
    moved = (scale * (image.astype(np.float64) + shift)).astype(np.float32)
    # A rounding error may carry a coefficient over the threshold: a hundredth of the noise at most.
    np.testing.assert_allclose(bm3d_rgb(moved, 0.06 * scale), expected, rtol=0, atol=6e-4 * scale)


def test_powers_of_two_scale_exactly(drawn: Image) -> None:
    image = noisy(drawn[:40, :40], 0.06)
    np.testing.assert_array_equal(bm3d_rgb(image * 256, 0.06 * 256), bm3d_rgb(image, 0.06) * 256)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 255.0])
def test_a_constant_image_comes_back(value: float) -> None:
    image = np.full((30, 41, 3), value, np.float32)
    np.testing.assert_array_equal(bm3d_rgb(image, 0.1), image)


def test_noise_below_float32_resolution_leaves_the_image() -> None:
    image = random(16, 16, 3)
    np.testing.assert_array_equal(bm3d_rgb(image, 1e-30), image)


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8), (8, 61, 3), (57, 9, 3), (13, 22), (71, 45, 3)])
def test_small_and_odd_sizes(shape: tuple[int, ...]) -> None:
    image = random(*shape)
    before = image.copy()
    denoised = bm3d_rgb(image, 1.0)
    assert denoised.shape == shape
    assert denoised.dtype == np.float32
    assert np.std(denoised) < 0.6  # pure noise of deviation 1
    np.testing.assert_array_equal(image, before)


def test_a_view_gives_what_its_copy_gives(drawn: Image) -> None:
    view = noisy(drawn, 0.05)[::-2, ::2, ::-1]
    np.testing.assert_array_equal(bm3d_rgb(view, 0.05), bm3d_rgb(view.copy(), 0.05))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_same_result_in_any_number_of_threads(drawn: Image, workers: int) -> None:
    image = noisy(drawn, 0.05)
    np.testing.assert_array_equal(bm3d_rgb(image, 0.05, threads=workers), bm3d_rgb(image, 0.05))


def test_bands_add_up_to_the_whole(drawn: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    image = noisy(drawn, 0.05)
    in_bands = bm3d_rgb(image, 0.05)
    monkeypatch.setattr(bm3d, "_BANDS", 1)
    difference = np.abs(bm3d_rgb(image, 0.05) - in_bands)
    # Sums are rounded otherwise, so that of two blocks as near as each other the other one may be taken.
    assert np.mean(difference > 1e-4) < 0.02
    assert difference.max() < 0.25 / 255


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_same_result_beside_other_images(drawn: Image, workers: int) -> None:
    images = [noisy(drawn[:50, :60], 0.05, seed) for seed in range(6)]
    expected = [bm3d_rgb(image, 0.05) for image in images]
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda image: bm3d_rgb(image, 0.05), images))
    np.testing.assert_array_equal(results, expected)


@pytest.mark.parametrize("shape", [(7, 20, 3), (20, 7), (0, 0, 3)])
def test_too_small_an_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="too small for BM3D"):
        bm3d_rgb(np.zeros(shape, np.float32), 1.0)


@pytest.mark.parametrize("shape", [(20,), (20, 20, 4), (20, 20, 1), (2, 20, 20, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        bm3d_rgb(np.zeros(shape, np.float32), 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(bad: float) -> None:
    image = random(16, 16, 3)
    image[3, 4, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        bm3d_rgb(image, 1.0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
def test_a_sigma_that_is_not_positive_and_finite_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma"):
        bm3d_rgb(random(16, 16, 3), sigma)
