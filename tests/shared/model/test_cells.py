"""The cells' features, held to OpenCV's resizing and means of the same maps."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.model.cells import (
    area_matrix,
    bilinear_matrix,
    cell_model,
    mean_matrix,
    positions,
)
from dermafed.shared.model.classifier import build_classifier
from dermafed.shared.model.model_settings import ModelSettings


def test_three_pixels_become_two_cells_by_what_each_covers() -> None:
    np.testing.assert_allclose(area_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6)


def test_two_pixels_are_interpolated_at_the_middles_of_four_cells() -> None:
    # The middles are at -0.25, 0.25, 0.75 and 1.25 of the pixels; beyond the border is the border's value.
    np.testing.assert_allclose(bilinear_matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


@pytest.mark.parametrize(("size", "grid"), [(48, 24), (25, 13), (6, 24), (12, 24), (7, 13), (1, 4)])
def test_matrices_resize_as_opencv_does(size: int, grid: int) -> None:
    picture = np.random.default_rng(0).random((size, size)).astype(np.float32)
    matrix = area_matrix(size, grid) if size > grid else bilinear_matrix(size, grid)
    how = cv2.INTER_AREA if size > grid else cv2.INTER_LINEAR
    expected = cv2.resize(picture, (grid, grid), interpolation=how)
    np.testing.assert_allclose(matrix @ picture @ matrix.T, expected, atol=1e-5)


@pytest.mark.parametrize("grid", [4, 24])
def test_means_of_neighbours_are_opencvs(grid: int) -> None:
    picture = np.random.default_rng(0).random((grid, grid)).astype(np.float32)
    expected = cv2.blur(picture, (5, 5), borderType=cv2.BORDER_REFLECT)
    matrix = mean_matrix(grid)
    np.testing.assert_allclose(matrix @ picture @ matrix.T, expected, atol=1e-6)


def test_positions_of_three_by_three_cells() -> None:
    found = positions(3)
    np.testing.assert_allclose(found[0, 2], [0.5, -0.5, 0.25, 0.25, -0.25, 0.5**0.5], rtol=1e-6)
    np.testing.assert_array_equal(found[1, 1], np.zeros(6))


@pytest.mark.parametrize("metadata", [False, True])
def test_cells_are_the_maps_of_blocks_2_to_6_their_means_and_places(metadata: bool) -> None:
    settings = ModelSettings(("a", "b"), image_size=64, metadata=metadata)
    classifier = build_classifier(settings)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    cells = keras.ops.convert_to_numpy(cell_model(classifier)(images))
    ends = ("block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add")
    maps = [
        keras.ops.convert_to_numpy(
            keras.Model(classifier.inputs[0], classifier.get_layer(end).output)(images)
        )
        for end in ends
    ]
    channels = 24 + 40 + 80 + 112 + 192
    assert [one.shape[1] for one in maps] == [16, 8, 4, 4, 2]
    assert cells.shape == (2, 8, 8, 2 * channels + 6)
    resized = [_by_opencv(one[1], 8) for one in maps]
    expected = np.concatenate(resized, axis=-1)
    np.testing.assert_allclose(cells[1, ..., :channels], expected, atol=1e-4)
    means = [
        cv2.blur(expected[..., number], (5, 5), borderType=cv2.BORDER_REFLECT) for number in range(channels)
    ]
    np.testing.assert_allclose(cells[1, ..., channels:-6], np.stack(means, axis=-1), atol=1e-4)
    np.testing.assert_array_equal(cells[0, ..., -6:], positions(8))


def test_a_model_without_these_blocks_is_refused() -> None:
    other = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    with pytest.raises(ModelError, match="EfficientNet"):
        cell_model(other)


def _by_opencv(maps: np.ndarray, grid: int) -> np.ndarray:
    how = cv2.INTER_AREA if maps.shape[0] > grid else cv2.INTER_LINEAR
    each = [
        cv2.resize(np.ascontiguousarray(maps[..., number]), (grid, grid), interpolation=how)
        for number in range(maps.shape[-1])
    ]
    return np.stack(each, axis=-1)
