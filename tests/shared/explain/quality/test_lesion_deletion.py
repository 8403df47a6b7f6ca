"""Removal within the lesion, and lesion-matched deletion: only a map that knows which cells wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from dermafed.shared.explain.maps import Image, Predict
from dermafed.shared.explain.quality.lesion_deletion import DRAWS, drop_ratios, lesion_drops
from dermafed.shared.explain.quality.removal import REMOVALS, blur, mean_colour, skin_colour
from tests.shared.explain.quality.toy_models import random_image, two_classes

SIDE = 56  # 14 x 14 cells of 4 x 4 pixels
LESION = np.zeros((SIDE, SIDE), np.bool_)
LESION[8:40, 16:48] = True  # 8 x 8 cells, of which 16 are removed
EVIDENCE = np.s_[8:24, 16:32]  # 16 of the cells


def skin_with_lesion() -> Image:
    image = np.full((SIDE, SIDE, 3), (220, 180, 160), np.uint8)
    image[LESION] = (90, 60, 40)
    return image


def dark_evidence(images: np.ndarray) -> np.ndarray:
    """Class 0 is the more probable, the darker these cells are."""
    return two_classes(1 - images[:, *EVIDENCE].mean(axis=(1, 2, 3)) / 255)


def heat(*parts: tuple[slice, slice]) -> np.ndarray:
    heatmap = np.zeros((SIDE, SIDE), np.float32)
    for part in parts:
        heatmap[part] = 1
    return heatmap


def test_worked_example_of_the_maps_drop() -> None:
    image = skin_with_lesion()
    found = lesion_drops(dark_evidence, image, heat(EVIDENCE), 0, LESION)
    before = 1 - (90 + 60 + 40) / 3 / 255
    # The map's 16 cells are the evidence: all of it takes the skin's colour.
    expected = logit(before) - logit(1 - (220 + 180 + 160) / 3 / 255)
    assert found["lesion_drop_skin"] == pytest.approx(expected, abs=1e-3)
    mean = image.mean() / 255
    assert found["lesion_drop_colour"] == pytest.approx(logit(before) - logit(1 - mean), abs=1e-3)


def test_a_map_that_knows_beats_random_cells_and_one_of_the_rest_of_the_lesion_loses() -> None:
    knows, wrong = (
        drop_ratios([lesion_drops(dark_evidence, skin_with_lesion(), heatmap, 0, LESION)])
        for heatmap in (heat(EVIDENCE), heat(np.s_[24:40, 16:48]))
    )
    assert set(knows) == {f"lesion_deletion_{name}" for name in REMOVALS}
    # A quarter of the lesion is evidence, so random cells hit a quarter of it; log-odds bend that.
    assert all(value > 3 for value in knows.values())
    # The blur alone darkens or lightens nothing outside what is removed: no drop at all.
    assert all(abs(value) < 1e-6 for value in wrong.values())


def test_covering_the_lesion_is_no_advantage() -> None:
    """Over many images the ratio of a map that is the lesion, or nothing, is 1."""
    scores: dict[str, list[dict[str, float]]] = {"lesion": [], "nothing": []}
    for seed in range(30):
        image = skin_with_lesion()
        for name, heatmap in (
            ("lesion", LESION.astype(np.float32)),
            ("nothing", np.zeros((SIDE, SIDE), np.float32)),
        ):
            scores[name].append(lesion_drops(dark_evidence, image, heatmap, 0, LESION, seed=seed))
    for own in scores.values():
        assert list(drop_ratios(own).values()) == pytest.approx([1, 1, 1], abs=0.12)


def test_a_cell_outside_the_lesion_is_never_removed() -> None:
    seen: list[np.ndarray] = []

    def predict(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return two_classes(np.full(len(images), 0.5))

    image = random_image(1, SIDE)
    lesion_drops(predict, image, heat(np.s_[:8, :]), 0, LESION)
    (frames,) = seen
    assert len(frames) == 1 + len(REMOVALS) * (1 + DRAWS)
    changed = (frames != image).any(axis=3)
    assert not changed[0].any()
    assert not changed[:, ~LESION].any()
    blocks = changed[1:].reshape(-1, 14, 4, 14, 4).any(axis=(2, 4))
    assert (blocks.sum(axis=(1, 2)) == 16).all(), "as many cells at random as by the map"


def test_the_random_cells_are_the_same_for_every_map() -> None:
    image = random_image(2, SIDE)
    one, other = (
        lesion_drops(dark_evidence, image, heat(part), 0, LESION) for part in (EVIDENCE, np.s_[30:, :])
    )
    for name in REMOVALS:
        assert one[f"lesion_drop_{name}_random"] == other[f"lesion_drop_{name}_random"]
        assert one[f"lesion_drop_{name}"] != other[f"lesion_drop_{name}"]


def test_a_sure_network_has_finite_drops() -> None:
    def sure(images: np.ndarray) -> np.ndarray:
        return two_classes(images[:, *EVIDENCE].mean(axis=(1, 2, 3)) < 100)

    found = lesion_drops(sure, skin_with_lesion(), heat(EVIDENCE), 0, LESION)
    assert found["lesion_drop_skin"] == pytest.approx(2 * logit(1 - 1e-6))


@pytest.mark.parametrize("lesion", [np.s_[:4, :12], np.s_[20:21, 20:21]])
def test_a_lesion_of_too_few_cells_is_left_out(lesion: tuple[slice, slice]) -> None:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[lesion] = True
    assert lesion_drops(dark_evidence, skin_with_lesion(), heat(EVIDENCE), 0, mask) == {}


def test_without_skin_the_other_removals_remain() -> None:
    whole = np.ones((SIDE, SIDE), np.bool_)
    found = lesion_drops(dark_evidence, skin_with_lesion(), heat(EVIDENCE), 0, whole)
    assert {name.removesuffix("_random") for name in found} == {"lesion_drop_colour", "lesion_drop_blur"}


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        lesion_drops(dark_evidence, skin_with_lesion(), np.zeros((9, 9), np.float32), 0, LESION)


def test_ratios_are_of_the_means_and_none_where_chance_does_not_fall() -> None:
    scores = [
        {"lesion_drop_blur": 3.0, "lesion_drop_blur_random": 1.0, "lesion_drop_skin": 1.0},
        {"lesion_drop_blur": 1.0, "lesion_drop_blur_random": -0.5},
        {"deletion": 0.5},
    ]
    scores[0]["lesion_drop_skin_random"] = -0.1
    assert drop_ratios(scores) == {"lesion_deletion_blur": 8.0}
    assert drop_ratios([]) == {}


def test_the_skins_colour_is_that_of_the_ring_alone() -> None:
    image = skin_with_lesion()
    image[:4] = 255  # far from the lesion
    image[8:40, 15] = 0  # its margin, 1 pixel wide
    found = skin_colour(image, LESION)
    assert found is not None
    assert (found == np.array([220, 180, 160])).all()
    assert skin_colour(image, np.ones((SIDE, SIDE), np.bool_)) is None


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_mean_colour_and_blur_keep_the_mean(seed: int) -> None:
    image = random_image(seed, 64)
    mask = np.zeros((64, 64), np.bool_)
    plain, smooth = mean_colour(image, mask), blur(image, mask)
    assert np.ptp(plain.reshape(-1, 3), axis=0) == pytest.approx([0, 0, 0])
    assert plain[0, 0] == pytest.approx(image.reshape(-1, 3).mean(axis=0), abs=1e-3)
    assert smooth.std() < 0.2 * image.std()
    assert smooth.mean() == pytest.approx(image.mean(), abs=4)


def test_predict_is_asked_once() -> None:
    asked: list[int] = []

    def counted(predict: Predict) -> Predict:
        def count(images: np.ndarray) -> np.ndarray:
            asked.append(len(images))
            return predict(images)

        return count

    lesion_drops(counted(dark_evidence), skin_with_lesion(), heat(EVIDENCE), 0, LESION)
    assert asked == [1 + 3 * (1 + DRAWS)] == [28]
