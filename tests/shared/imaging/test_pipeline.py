"""The pipeline: its settings, the order of its steps, and eq. (2)'s place in it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.clahe import clahe
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.denoise import denoise, denoiser, estimate_noise
from dermafed.shared.imaging.pipeline import preprocess, stages
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize
from tests.shared.imaging.real_images import ham_paths, needs_real_images

NOISY = np.random.default_rng(0).normal(128, 12, (48, 64, 3)).clip(0, 255).astype(np.uint8)
SMALL = PreprocessSettings(image_size=48, clahe_grid=4)


@pytest.fixture
def _fresh_engines() -> Iterator[None]:
    denoiser.cache_clear()
    yield
    denoiser.cache_clear()


def test_settings_round_trip_through_json_types() -> None:
    settings = PreprocessSettings(image_size=224, fit="pad", denoise="none", sigma=3, clahe_clip=1)
    values = settings.to_dict()
    assert values == {
        "image_size": 224,
        "fit": "pad",
        "denoise": "none",
        "sigma": 3.0,
        "clahe": True,
        "clahe_clip": 1.0,
        "clahe_grid": 8,
    }
    assert PreprocessSettings.from_dict(values) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 0),
        ("image_size", 224.0),
        ("image_size", True),
        ("image_size", 10**6),
        ("fit", "stretch"),
        ("fit", None),
        ("denoise", "bm4d"),
        ("denoise", ["bm3d"]),
        ("sigma", -1),
        ("sigma", float("nan")),
        ("sigma", "5"),
        ("sigma", True),
        ("clahe", 1),
        ("clahe", "no"),
        ("clahe_clip", 0),
        ("clahe_clip", float("inf")),
        ("clahe_grid", 0),
        ("clahe_grid", 29),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    values = {**PreprocessSettings().to_dict(), name: value}
    with pytest.raises(SettingsError, match=rf"preprocess\.{name}"):
        PreprocessSettings.from_dict(values)


def test_missing_and_unknown_fields_are_refused() -> None:
    values = PreprocessSettings().to_dict()
    with pytest.raises(SettingsError, match="no key 'colour'"):
        PreprocessSettings.from_dict({**values, "colour": 1})
    del values["sigma"]
    with pytest.raises(SettingsError, match="'sigma' is missing"):
        PreprocessSettings.from_dict(values)
    with pytest.raises(SettingsError, match="must be an object"):
        PreprocessSettings.from_dict([1])  # type: ignore[arg-type]


def test_the_steps_run_in_order() -> None:
    resized = resize(NOISY, 48, "crop")
    sigma = estimate_noise(resized)
    denoised = denoise(resized, sigma, "bm3d")
    result = preprocess(NOISY, SMALL)
    assert np.array_equal(result.image, clahe(denoised, 2.0, 4))
    assert result.noise_sigma == sigma == pytest.approx(12, rel=0.05)
    assert result.denoised
    assert denoised.std() < 0.5 * resized.std()


def test_stages_show_each_step_and_end_in_the_result() -> None:
    shown = stages(NOISY, SMALL)
    assert list(shown) == ["resized", "denoised", "contrast"]
    assert all(image.shape == (48, 48, 3) and image.dtype == np.uint8 for image in shown.values())
    assert np.array_equal(shown["contrast"], preprocess(NOISY, SMALL).image)


def test_every_step_can_be_off() -> None:
    bare = PreprocessSettings(image_size=48, denoise="none", clahe=False, clahe_grid=4)
    result = preprocess(NOISY, bare)
    assert np.array_equal(result.image, resize(NOISY, 48, "crop"))
    assert not result.denoised
    assert result.noise_sigma > 10
    assert list(stages(NOISY, bare)) == ["resized"]


@pytest.mark.parametrize(("sigma", "denoised"), [(0.0, False), (0.99, False), (1.0, True), (12.0, True)])
def test_little_noise_passes_through_and_is_recorded(sigma: float, denoised: bool) -> None:
    settings = PreprocessSettings(image_size=48, sigma=sigma, clahe=False, clahe_grid=4)
    result = preprocess(NOISY, settings)
    assert result.denoised == denoised
    assert result.noise_sigma == sigma
    assert denoised or np.array_equal(result.image, resize(NOISY, 48, "crop"))


@pytest.mark.parametrize("method", ["bm3d", "bm3d-package"])
@pytest.mark.filterwarnings("ignore:The package bm3d")
def test_a_constant_image_survives(method: str) -> None:
    image = np.full((48, 48, 3), 77, np.uint8)
    if method == "bm3d-package":
        pytest.importorskip("bm3d")
    assert np.array_equal(denoise(image, 10.0, method), image)  # type: ignore[arg-type]


@pytest.mark.usefixtures("_fresh_engines")
def test_the_package_states_its_licence_once() -> None:
    pytest.importorskip("bm3d")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        denoiser("bm3d-package")
        denoiser("bm3d-package")
    assert len([w for w in seen if "non-commercial" in str(w.message)]) == 1


@pytest.mark.usefixtures("_fresh_engines")
def test_a_missing_package_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(SettingsError, match=r"bm3d is not installed .*choose denoise='bm3d'"):
        denoise(NOISY, 12.0, "bm3d-package")


def psnr(image: NDArray[np.uint8], clean: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((image.astype(float) - clean) ** 2)))


@needs_real_images
@pytest.mark.filterwarnings("ignore:The package bm3d")
def test_both_engines_take_the_same_units() -> None:
    pytest.importorskip("bm3d")
    clean = read_image(ham_paths(1)[0])[64:128, 64:128]
    noisy = np.random.default_rng(0).normal(clean, 15).round().clip(0, 255).astype(np.uint8)
    ours, theirs = (denoise(noisy, 15.0, method) for method in ("bm3d", "bm3d-package"))  # type: ignore[arg-type]
    assert psnr(ours, clean) > psnr(noisy, clean) + 6
    assert psnr(ours, clean) == pytest.approx(psnr(theirs, clean), abs=1)


def order_difference(image: NDArray[np.float32]) -> float:
    """Largest difference, in the image's units, of eq. (2) then (3), the paper's order, to (3) then (2).

    Eq. (2) with the image's own mean and standard deviation: one affine map for all channels.
    """
    bm3d, sigma = denoiser("bm3d"), 12.0
    mean, std = float(image.mean()), float(image.std())
    papers = bm3d((image - mean) / std, sigma / std, 1)
    ours = (bm3d(image, sigma, 1) - mean) / std
    return float(np.abs(papers - ours).max()) * std


def test_standardising_before_or_after_bm3d_is_the_same() -> None:
    image = np.random.default_rng(0).normal(128, 12, (48, 64, 3)).astype(np.float32)
    assert order_difference(image) < 1e-4


def test_on_whole_numbers_the_order_decides_ties_between_equal_blocks_only() -> None:
    # Blocks of an 8-bit image are often equally near: float32 rounding then picks which joins a group.
    assert order_difference(NOISY.astype(np.float32)) < 1
