from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.training.data import LabelledImages, batches, steps_per_epoch


def numbered(images: int, metadata: bool = False) -> LabelledImages:
    """Images of one pixel whose value is their index."""
    index = np.arange(images)
    pixels = np.repeat(index[:, None], 3, axis=1).reshape(-1, 1, 1, 3).astype(np.uint8)
    return LabelledImages(pixels, index % 3, index[:, None].astype(np.float32) if metadata else None)


@given(images=st.integers(1, 70), size=st.integers(1, 20), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_an_epoch_has_every_image_once_and_equal_shapes(
    images: int, size: int, seed: int, epoch: int
) -> None:
    data = numbered(images)
    steps = steps_per_epoch(data, size)
    numbers = range(epoch * steps, (epoch + 1) * steps)
    seen = []
    for batch in batches(data, size, numbers, seed=seed, augmented=False):
        pixels = np.asarray(batch.inputs)
        assert pixels.shape == (size, 1, 1, 3)
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels[:, 0, 0, 0], batch.index)
        assert set(np.unique(batch.weights)) <= {0, 1}
        seen += list(batch.index[batch.weights == 1])
    assert sorted(seen) == list(range(images))


def test_orders_differ_between_epochs_and_repeat_from_the_seed() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        steps = range(5 * epoch, 5 * epoch + 5)
        return [int(i) for b in batches(numbered(40), 8, steps, seed=seed, augmented=False) for i in b.index]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_a_step_has_the_same_batch_wherever_training_starts() -> None:
    whole = list(batches(numbered(20), 8, range(7), seed=3, augmented=True))
    for step, batch in enumerate(whole):
        (alone,) = batches(numbered(20), 8, [step], seed=3, augmented=True)
        np.testing.assert_array_equal(np.asarray(alone.inputs), np.asarray(batch.inputs))


def test_metadata_stays_with_its_image() -> None:
    for batch in batches(numbered(10, metadata=True), 4, range(3), seed=0, augmented=False):
        pixels, metadata = batch.inputs
        np.testing.assert_array_equal(pixels[:, 0, 0, 0], metadata[:, 0])


def test_augmented_images_are_other_images_of_the_same_kind() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    data = LabelledImages(images, np.arange(3))
    (batch,) = batches(data, 4, [0], seed=1, augmented=True)
    pixels = np.asarray(batch.inputs)
    assert pixels.shape == (4, 8, 8, 3)
    assert pixels.dtype == np.float32
    assert not np.array_equal(pixels, images[batch.index])
