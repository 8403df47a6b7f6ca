"""Fast Score-CAM: exact in the end, the same twice, and with an agreement that can be relied on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.explain.class_correlation import SIDE
from dermafed.shared.explain.fast_score_cam import estimate_scores, fast_score_cam, medoids
from dermafed.shared.explain.maps import ActivationMaps, activation_maps, map_agreement
from dermafed.shared.explain.network import Target
from dermafed.shared.explain.score_cam import CONVENTIONS, ScoreCam, exact_score_cam

CHANNELS, SIZE = 150, (28, 28)


@pytest.fixture
def maps() -> ActivationMaps:
    """Blobs here and there, many of them alike, as a network's channels are."""
    rng = np.random.default_rng(4)
    down, right = np.mgrid[:7, :7]
    centres = rng.uniform(0, 6, (CHANNELS, 2))
    blobs = [np.exp(-((down - y) ** 2 + (right - x) ** 2) / 4) for y, x in centres]
    return activation_maps(np.stack(blobs, -1).astype(np.float32), SIZE)


def lower_left(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network whose score grows with the lower left corner."""
    return 6 * masks[:, 4:, :3].mean((1, 2))


def cam_of(maps: ActivationMaps, passed: list[int] | None = None) -> ScoreCam:
    def values(masks: NDArray[np.float32]) -> NDArray[np.float32]:
        if passed is not None:
            passed.append(len(masks))
        return np.stack([lower_left(masks), lower_left(masks[:, ::-1, ::-1])], axis=1)

    return ScoreCam(maps, values, Target(0), CONVENTIONS["default"])


def test_few_passes_agree_with_all(maps: ActivationMaps) -> None:
    passed: list[int] = []
    estimate = fast_score_cam(cam_of(maps, passed), clusters=12)
    assert sum(passed) == estimate.passes < CHANNELS
    assert estimate.agreement is not None
    assert estimate.agreement >= 0.99
    assert map_agreement(estimate.heatmap, exact_score_cam(cam_of(maps))) > 0.99


@pytest.mark.parametrize("liked", [0, 3, 7, 20])
def test_a_network_with_one_dominant_mask_gets_the_same_map(maps: ActivationMaps, liked: int) -> None:
    def values(masks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(20 * np.exp(-((masks - maps.masks[liked]) ** 2).sum((1, 2))), np.float32)[:, None]

    cam = ScoreCam(maps, values, Target(0), CONVENTIONS["default"])
    assert map_agreement(fast_score_cam(cam, clusters=8).heatmap, exact_score_cam(cam)) > 0.999


def test_a_doubling_without_new_masks_still_passes_the_largest_contributions(
    maps: ActivationMaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the map would be compared with itself, and accepted."""
    monkeypatch.setattr(
        "dermafed.shared.explain.fast_score_cam.medoids", lambda points, weights, clusters: np.arange(8)
    )
    estimate = fast_score_cam(cam_of(maps), clusters=8)
    assert estimate.passes >= 16
    assert estimate.agreement is not None
    assert estimate.agreement < 1 - 1e-9


def test_it_is_exact_when_every_mask_is_passed(maps: ActivationMaps) -> None:
    for clusters in (CHANNELS, 20):
        passed: list[int] = []
        estimate = fast_score_cam(cam_of(maps, passed), clusters=clusters, enough=2)
        assert np.array_equal(estimate.heatmap, exact_score_cam(cam_of(maps)))
        assert (estimate.agreement, estimate.passes, sum(passed)) == (1, CHANNELS, CHANNELS)


def test_the_same_image_gives_the_same_map(maps: ActivationMaps) -> None:
    one, other = fast_score_cam(cam_of(maps)), fast_score_cam(cam_of(maps))
    assert np.array_equal(one.heatmap, other.heatmap)
    assert (one.agreement, one.passes) == (other.agreement, other.passes)


def test_a_medoid_is_the_member_nearest_to_its_clusters_mean() -> None:
    points = np.array([[0], [1], [2.5], [10], [11], [12.4]], np.float32)  # means 1.17 and 11.13
    assert sorted(medoids(points, np.ones(6), 2)) == [1, 4]
    heavy = np.array([1, 1, 8, 8, 1, 1])  # means 2.1 and 10.34
    assert sorted(medoids(points, heavy, 2)) == [2, 3]
    assert list(medoids(points, heavy, 6)) == list(range(6))


def test_scores_are_means_of_the_nearest_by_the_inverse_of_their_distance() -> None:
    points = np.array([[0], [1], [3], [4], [100], [2]], np.float32)
    passed = np.array([True, True, True, True, True, False])
    scores = np.array([2, 4, 8, -6, 1000, 0], np.float32)
    # 2 is 2, 1, 1 and 2 away from the first four.
    assert estimate_scores(points, scores, passed) == pytest.approx([2, 4, 8, -6, 1000, (1 + 4 + 8 - 3) / 3])
    both = estimate_scores(points, np.stack([scores, -scores], axis=1), passed)
    assert both == pytest.approx(np.stack([estimate_scores(points, scores, passed)] * 2, 1) * (1, -1))
    alone = np.arange(6) == 1
    assert estimate_scores(points, scores, alone) == pytest.approx([4] * 6)


def test_masks_that_coincide_need_one_pass() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    assert len(medoids(points, np.ones(15), 7)) == 3


def test_worked_example_of_agreement() -> None:
    zero, ramp = np.zeros((1, 3), np.float32), np.array([[1, 2, 3]], np.float32)
    assert map_agreement(ramp, 5 - 2 * ramp) == pytest.approx(-1)
    assert map_agreement(ramp, np.array([[1, 3, 2]], np.float32)) == pytest.approx(0.5)
    assert (map_agreement(zero, ramp), map_agreement(zero, zero)) == (0, 1)


def test_the_passes_of_one_class_give_the_maps_of_the_other(maps: ActivationMaps) -> None:
    passed: list[int] = []
    estimate = fast_score_cam(cam_of(maps, passed), clusters=12)
    assert sum(passed) == estimate.passes, "no more passes than for the one class"
    exact = cam_of(maps)
    values = exact.values(maps.masks)
    for weights in (np.eye(2, dtype=np.float32)[0], np.eye(2, dtype=np.float32)[1], np.float32([1, -1])):
        expected = exact.heatmap(values @ weights, (SIDE, SIDE))
        assert map_agreement(estimate.map_of(weights), expected) > 0.98
