"""Artefacts in training: their share, their strength, and that all else is as without them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.artefacts import random_artefact as module
from dermafed.shared.artefacts.artefacts import ARTEFACTS, Artefact
from dermafed.shared.artefacts.random_artefact import random_artefact
from dermafed.shared.artefacts.surroundings import Image
from dermafed.shared.training.artefact_images import ArtefactImages
from dermafed.shared.training.augment import augment
from dermafed.shared.training.data import LabelledImages, batches

SIDE, PLACES = 40, np.arange(300)
IMAGES = np.random.default_rng(0).integers(60, 200, (300, SIDE, SIDE, 3), np.uint8)


def drawn_on(changed: Image, before: Image) -> np.ndarray:
    return (changed != before).any(axis=(1, 2, 3))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.05, 1), tones=st.booleans())
def test_only_the_artefact_differs_from_an_augmentation_without(seed: int, share: float, tones: bool) -> None:
    """Where none is drawn the copy is the same to the last bit; the next draws of a batch are too."""
    first, second, third = (np.random.default_rng(seed) for _ in range(3))
    is_drawn = [own.random() < share for own in np.random.default_rng(seed).spawn(5)]
    for image, drawn in zip(IMAGES, is_drawn, strict=False):
        without = augment(image, first, tones=tones)
        copy = augment(image, second, tones=tones, artefacts=share)
        np.testing.assert_array_equal(copy, augment(image, third, tones=tones, artefacts=share))
        assert drawn or np.array_equal(copy, without)
    assert first.bit_generator.state == second.bit_generator.state


def test_the_share_is_that_of_images_and_every_kind_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: Counter[str] = Counter()

    def counted(name: str) -> Artefact:
        def invert(image: Image, lesion: object, rng: np.random.Generator) -> Image:
            kinds[name] += 1
            return 255 - image

        return Artefact(name, invert, False)

    monkeypatch.setattr(module, "ARTEFACTS", {name: counted(name) for name in ARTEFACTS})
    changed = drawn_on(ArtefactImages(IMAGES, 0.4, 3)[PLACES], IMAGES)
    # 120 expected of 300, and 20 of each kind; six standard deviations.
    assert abs(changed.sum() - 120) < 6 * np.sqrt(300 * 0.4 * 0.6)
    assert set(kinds) == set(ARTEFACTS)
    assert max(abs(count - 20) for count in kinds.values()) < 6 * np.sqrt(20)
    assert drawn_on(ArtefactImages(IMAGES, 1.0, 3)[PLACES], IMAGES).all()
    assert not drawn_on(ArtefactImages(IMAGES, 0.0, 3)[PLACES], IMAGES).any()


def test_strength_mixes_the_artefact_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    white = Artefact("white", lambda image, lesion, rng: np.full_like(image, 255), False)
    monkeypatch.setattr(module, "ARTEFACTS", {"white": white})
    image = np.full((SIDE, SIDE, 3), 55, np.uint8)
    levels = [int(random_artefact(image, 1, np.random.default_rng(seed))[0, 0, 0]) for seed in range(200)]
    # 55 + 200 s with s from 0.3 to 1.
    assert 115 <= min(levels) < 120
    assert 250 < max(levels) <= 255
    assert np.mean(levels) == pytest.approx(55 + 200 * 0.65, abs=6 * 200 * 0.7 / np.sqrt(12 * 200))


def test_an_images_artefact_depends_on_its_place_and_the_seed_alone() -> None:
    own = ArtefactImages(IMAGES[:60], 0.5, 3)
    np.testing.assert_array_equal(own[PLACES[:60]][[7, 3, 7]], own[np.array([7, 3, 7])])
    assert not np.array_equal(own[PLACES[:60]], ArtefactImages(IMAGES[:60], 0.5, 4)[PLACES[:60]])


def test_a_batch_draws_the_same_whatever_the_diagnoses_are() -> None:
    labels = np.arange(60) % 2
    both = [
        next(batches(LabelledImages(IMAGES[:60], own), 60, [0], seed=5, augmented=True, artefacts=0.5))
        for own in (labels, 1 - labels)
    ]
    np.testing.assert_array_equal(both[0].inputs, both[1].inputs)
    off = next(batches(LabelledImages(IMAGES[:60], labels), 60, [0], seed=5, augmented=True))
    changed = drawn_on(np.asarray(both[0].inputs), np.asarray(off.inputs))
    assert 10 < changed.sum() < 50
