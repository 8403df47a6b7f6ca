"""The pointing game: worked examples, and real lesion masks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dermafed.shared.explain.quality.localisation import (
    box_overlap,
    energy_pointing,
    pixel_precision,
)
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize
from tests.paths import SHARED
from tests.shared.explain.quality.toy_models import darkness

HAM = SHARED / "data" / "ham10000"


def quarter() -> np.ndarray:
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    return mask


def test_worked_example_of_energy() -> None:
    heatmap = np.full((4, 4), 0.25, np.float32)
    heatmap[:2, :2] = 1
    found = energy_pointing(heatmap, quarter())
    assert found.energy == 4 / 7
    assert found.chance == 1 / 4
    assert found.gain == 4 / 7 - 1 / 4


@given(st.floats(2**-10, 1, width=32), st.integers(1, 16))
def test_a_constant_map_gets_the_lesions_share(value: float, size: int) -> None:
    mask = np.arange(16).reshape(4, 4) < size
    found = energy_pointing(np.full((4, 4), value, np.float32), mask)
    assert found.energy == pytest.approx(size / 16)
    assert found.gain == pytest.approx(0, abs=1e-12)


def test_a_map_without_energy_gets_chance_level() -> None:
    assert energy_pointing(np.zeros((4, 4), np.float32), quarter()).gain == 0


@pytest.mark.parametrize("mask", [np.zeros((4, 4), bool), np.ones((3, 4), bool), np.ones((4, 4), np.uint8)])
def test_impossible_masks_are_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is no lesion"):
        energy_pointing(np.ones((4, 4), np.float32), mask)


@pytest.mark.skipif(not HAM.is_dir(), reason="the real images are not beside the checkout")
def test_darkness_points_at_real_lesions() -> None:
    settings = PreprocessSettings(image_size=96, clahe_grid=4)
    found = []
    for path in sorted((HAM / "masks").glob("*.png"))[:12]:
        mask = lesion_mask(path, settings)
        image = resize(read_image(HAM / "images" / f"{path.stem}.jpg"), 96, settings.fit)
        found.append(energy_pointing(darkness(image, 0), mask))
        assert energy_pointing(mask.astype(np.float32), mask).energy == 1
        assert 0 < found[-1].chance < 1
    assert np.mean([pointing.gain for pointing in found]) > 0.02


def mask(*places: tuple[int, int, int, int]) -> np.ndarray:
    """Boxes (top, left, height, width) in 8 x 8 pixels."""
    found = np.zeros((8, 8), np.bool_)
    for top, left, height, width in places:
        found[top : top + height, left : left + width] = True
    return found


def test_boxes_overlap_by_intersection_over_union() -> None:
    lesion = mask((2, 2, 4, 4))
    # 8 of the found box' 16 pixels are among the lesion box' 16: 8 / 24.
    assert box_overlap(mask((2, 4, 4, 4)).astype(np.float32), lesion) == pytest.approx(1 / 3)
    assert box_overlap(lesion.astype(np.float32), lesion) == 1
    assert box_overlap(np.zeros((8, 8), np.float32), lesion) == 0


def test_of_a_signed_map_the_magnitude_finds_the_lesion() -> None:
    rng = np.random.default_rng(0)
    heatmap, lesion = rng.uniform(0, 1, (8, 8)).astype(np.float32), mask((2, 2, 4, 4))
    signed = heatmap * np.where(rng.random((8, 8)) < 0.5, -1, 1).astype(np.float32)
    assert signed.min() < -0.5
    for measure in (energy_pointing, box_overlap, pixel_precision):
        assert measure(signed, lesion) == measure(heatmap, lesion)


def test_only_the_largest_hot_part_counts_and_only_from_half_the_range() -> None:
    lesion = mask((0, 0, 4, 4))
    heatmap = mask((0, 0, 4, 4)).astype(np.float32) * 0.5
    heatmap[7, 7] = 1.0  # hotter, but smaller
    heatmap[4:7, 0:3] = 0.49
    assert box_overlap(heatmap, lesion) == 1


def test_a_lesions_box_is_filled() -> None:
    ring = mask((1, 1, 6, 6)) & ~mask((2, 2, 4, 4))
    assert box_overlap(mask((1, 1, 6, 6)).astype(np.float32), ring) == 1


def test_pixel_precision_needs_no_threshold() -> None:
    lesion = mask((0, 0, 4, 8))
    rising = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert pixel_precision(1 - rising, lesion) == 1
    assert pixel_precision((1 - rising) ** 5, lesion) == 1
    assert pixel_precision(np.ones((8, 8), np.float32), lesion) == pytest.approx(0.5)
    # The other way round, precision at the k-th lesion pixel is k / (32 + k).
    expected = np.mean([k / (32 + k) for k in range(1, 33)])
    assert pixel_precision(rising, lesion) == pytest.approx(expected)


def written_out(heatmap: np.ndarray, lesion: np.ndarray) -> Fraction:
    """Average precision by definition: precision at each value times the recall gained there."""
    found, before = Fraction(0), 0
    for value in sorted(set(heatmap.ravel().tolist()), reverse=True):
        hits = int(lesion[heatmap >= value].sum())
        found += Fraction(hits, int((heatmap >= value).sum())) * Fraction(hits - before, int(lesion.sum()))
        before = hits
    return found


@given(
    arrays(np.float32, (6, 6), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    arrays(np.bool_, (6, 6)).filter(lambda lesion: bool(lesion.any())),
)
def test_pixel_precision_is_average_precision_with_ties(heatmap: np.ndarray, lesion: np.ndarray) -> None:
    assert pixel_precision(heatmap, lesion) == pytest.approx(float(written_out(heatmap, lesion)))
