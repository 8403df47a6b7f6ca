"""The noise estimate against noise that was added."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.denoise import estimate_noise
from tests.shared.imaging.real_images import ham_paths, needs_real_images


def test_worked_example_of_immerkaers_formula() -> None:
    image = np.zeros((3, 3), np.float32)
    image[1, 1] = 6  # the kernel's middle weight is 4; one inner pixel: sqrt(pi / 2) / 6 * |4 * 6|
    assert estimate_noise(image) == pytest.approx(np.sqrt(np.pi / 2) / 6 * 24)


def test_planes_and_straight_edges_have_no_noise() -> None:
    y, x = np.mgrid[:40, :50].astype(np.float32)
    assert estimate_noise(3 * x - 2 * y + 7) == pytest.approx(0, abs=1e-4)
    assert estimate_noise(np.where(x < 20, 0, 255).astype(np.uint8)) == 0


@pytest.mark.parametrize("sigma", [0.5, 5, 25])
def test_white_noise_on_a_flat_image(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(128, sigma, (224, 224, 3)).astype(np.float32)
    assert estimate_noise(noise) == pytest.approx(sigma, rel=0.02)


def test_the_estimate_scales_with_the_image() -> None:
    noise = np.random.default_rng(0).normal(128, 9, (64, 64, 3)).astype(np.float32)
    assert estimate_noise(noise / 255) * 255 == pytest.approx(estimate_noise(noise), rel=1e-4)


@needs_real_images
@pytest.mark.parametrize("sigma", [5, 15, 25])
def test_added_noise_on_real_images(sigma: float) -> None:
    generator = np.random.default_rng(sigma)
    for path in ham_paths(8):
        image = read_image(path)
        noisy = image + generator.normal(0, sigma, image.shape).astype(np.float32)
        expected = np.hypot(sigma, estimate_noise(image))
        assert estimate_noise(noisy) == pytest.approx(expected, rel=0.05)
