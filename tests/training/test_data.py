from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.training.data import LabelledImages, batches, steps_per_epoch


def numbered(images: int, metadata: bool = False) -> LabelledImages:
    """Images of one pixel that tell their index."""
    index = np.arange(images)
    pixels = np.repeat(index[:, None], 3, axis=1).reshape(-1, 1, 1, 3).astype(np.uint8)
    return LabelledImages(pixels, index % 3, index[:, None].astype(np.float32) if metadata else None)


@given(images=st.integers(0, 70), size=st.integers(1, 20), seed=st.integers(0, 9))
def test_an_epoch_has_every_image_once_and_equal_shapes(images: int, size: int, seed: int) -> None:
    data = numbered(images)
    epoch = list(batches(data, size, rng=np.random.default_rng(seed), augmented=False))
    assert len(epoch) == steps_per_epoch(data, size)
    seen = []
    for batch in epoch:
        pixels = np.asarray(batch.inputs)
        assert pixels.shape == (size, 1, 1, 3)
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels[:, 0, 0, 0], batch.index)
        assert set(np.unique(batch.weights)) <= {0, 1}
        seen += list(batch.index[batch.weights == 1])
    assert sorted(seen) == list(range(images))


def test_orders_differ_between_epochs_and_repeat_from_the_seed() -> None:
    def order(seed: int) -> list[int]:
        rng = np.random.default_rng(seed)
        return [int(i) for b in batches(numbered(40), 8, rng=rng, augmented=False) for i in b.index]

    assert order(1) == order(1) != order(2)


def test_metadata_stays_with_its_image() -> None:
    for batch in batches(numbered(10, metadata=True), 4, rng=np.random.default_rng(0), augmented=False):
        pixels, metadata = batch.inputs
        np.testing.assert_array_equal(pixels[:, 0, 0, 0], metadata[:, 0])


def test_augmented_images_are_other_images_of_the_same_kind() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    data = LabelledImages(images, np.arange(3))
    (batch,) = batches(data, 4, rng=np.random.default_rng(1), augmented=True)
    pixels = np.asarray(batch.inputs)
    assert pixels.shape == (4, 8, 8, 3)
    assert pixels.dtype == np.float32
    assert not np.array_equal(pixels, images[batch.index])
