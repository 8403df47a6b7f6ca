"""Every artefact: of one size, repeatable, beside the lesion where it says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.artefacts.artefacts import ARTEFACTS, ERASED, draw
from dermafed.shared.artefacts.erased_lesion import erased_lesion
from dermafed.shared.artefacts.surroundings import Image, Mask, central_disc, free_place
from dermafed.shared.artefacts.vignette import vignette
from dermafed.shared.artefacts.white_balance import white_balance
from dermafed.shared.imaging.decoding import read_image, read_mask
from tests.commands.small_datasets import HAM, needs_real_images

ALL = {**ARTEFACTS, "lesion-erased": ERASED}
SKIN, PIGMENT = (200, 150, 140), (80, 50, 40)


def photograph(height: int = 90, width: int = 120) -> tuple[Image, Mask]:
    """A dark disc on plain skin."""
    lesion = central_disc(height, width)
    return np.where(lesion[..., None], PIGMENT, SKIN).astype(np.uint8), lesion


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_any_image_and_any_mask_give_an_image_of_the_same_size(
    name: str, height: int, width: int, share: float
) -> None:
    rng = np.random.default_rng(height * 71 + width)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    lesion = rng.random((height, width)) < share
    untouched = image.copy()
    changed = draw(ALL[name], image, lesion, "image")
    assert (changed.shape, changed.dtype) == (image.shape, np.uint8)
    assert np.array_equal(image, untouched)
    if ALL[name].keeps_lesion:
        assert np.array_equal(changed[lesion], image[lesion])


@pytest.mark.parametrize("name", ALL)
def test_an_artefact_is_the_same_for_the_same_name_and_another_for_another(name: str) -> None:
    image, lesion = photograph()
    image[:10] += np.random.default_rng(0).integers(0, 20, (10, 120, 3), np.uint8)
    image[20:60] += np.random.default_rng(0).integers(0, 20, (40, 120, 3), np.uint8)
    first, again, other = (draw(ALL[name], image, lesion, image_id) for image_id in "aab")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, image)


def test_a_mask_of_another_size_is_refused() -> None:
    image, lesion = photograph()
    with pytest.raises(ValueError, match="a mask"):
        draw(ERASED, image, lesion[1:], "image")


@needs_real_images
@pytest.mark.parametrize("image_id", ["ISIC_0024306", "ISIC_0027685", "ISIC_0030484"])
def test_on_real_images_only_what_says_so_touches_the_lesion(image_id: str) -> None:
    image = read_image(HAM / "images" / f"{image_id}.jpg")
    lesion = read_mask(HAM / "masks" / f"{image_id}.png")
    for artefact in ARTEFACTS.values():
        changed = draw(artefact, image, lesion, image_id)
        touched = (changed != image).any(axis=2)
        assert touched[~lesion].any(), artefact.title
        assert not (artefact.keeps_lesion and touched[lesion].any()), artefact.title
    # The skin's colour is the ring's, and what is far from the lesion stays.
    erased = draw(ERASED, image, lesion, image_id)
    assert np.abs(erased[lesion].mean(axis=0) - image[~lesion].mean(axis=0)).max() < 25
    assert (erased == image).all(axis=2).any()


def test_the_disc_covers_its_share() -> None:
    """A radius of 0.35 of the shorter side, 100: 35 ** 2 * pi = 3848 pixels."""
    assert central_disc(100, 150).sum() == pytest.approx(35**2 * np.pi, rel=0.02)


def test_a_free_place_keeps_its_distance_as_far_as_there_is_room() -> None:
    lesion = np.zeros((50, 50), bool)
    lesion[:, :25] = True
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert free_place(lesion, 10, rng)[0] >= 25 + 8  # the distance transform errs by a few percent
        assert free_place(lesion, 99, rng)[0] == 49
    assert free_place(np.ones((1, 1), bool), 5, rng) == (0, 0)


def test_white_balance_moves_red_and_blue_apart_and_leaves_green() -> None:
    image, lesion = photograph()
    for seed in range(8):
        changed = white_balance(image, lesion, np.random.default_rng(seed)).astype(int) - image
        assert (changed[..., 1] == 0).all()
        assert (changed[..., 0] * changed[..., 2] < 0).all()


def test_a_vignette_leaves_the_middle_and_darkens_the_corners_to_a_third_at_most() -> None:
    image, lesion = photograph()
    changed = vignette(image, lesion, np.random.default_rng(0))
    assert np.array_equal(changed[30:60, 40:80], image[30:60, 40:80])
    assert changed[0, 0].max() <= 0.33 * max(SKIN)


def test_an_erased_lesion_on_plain_skin_leaves_plain_skin() -> None:
    image, lesion = photograph()
    assert (erased_lesion(image, lesion, np.random.default_rng(0)) == np.uint8(SKIN)).all()


def test_where_all_is_lesion_all_is_erased_to_gray() -> None:
    image, _ = photograph()
    erased = erased_lesion(image, np.ones(image.shape[:2], bool), np.random.default_rng(0))
    assert (erased == 128).all()
