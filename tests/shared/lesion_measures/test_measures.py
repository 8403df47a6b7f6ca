from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dermafed.shared.lesion_measures.measures import LesionMeasures, measure_lesion
from tests.paths import SHARED
from tests.shared.lesion_measures.shapes import disc, ellipse, picture

HAM10000 = SHARED / "data" / "ham10000"


def test_a_disc_with_a_scale() -> None:
    lesion = disc(200, 50)
    found = measure_lesion(lesion, picture(lesion), mm_per_pixel=0.1)
    assert found.whole
    assert found.area == pytest.approx(np.pi / 16, rel=0.01)
    assert found.diameter == pytest.approx(0.5, abs=0.006)
    assert found.area_mm2 == pytest.approx(np.pi * 25, rel=0.01)
    assert found.diameter_mm == pytest.approx(10, abs=0.11)


def test_without_a_scale_there_are_no_millimetres() -> None:
    lesion = ellipse(200, 60, 40)
    found = measure_lesion(lesion, picture(lesion))
    assert found.area_mm2 is None
    assert found.diameter_mm is None


def test_of_a_lesion_cut_off_by_the_image_there_is_no_asymmetry() -> None:
    lesion = np.roll(disc(200, 60), 90, axis=1)
    lesion[:, :60] = False
    found = measure_lesion(lesion, picture(lesion))
    assert not found.whole
    assert found.asymmetry is None
    assert measure_lesion(np.ones((50, 70), bool), np.zeros((50, 70, 3), np.uint8)).area == 1


@pytest.mark.parametrize("lesion", [disc(200, 50), np.ones((30, 40), bool)])
def test_json_and_back(lesion: np.ndarray) -> None:
    found = measure_lesion(lesion, picture(lesion), 0.05)
    values = json.loads(json.dumps(found.to_dict()))
    assert LesionMeasures.from_dict(values).to_dict() == values
    assert values["area"] == round(found.area, 4)


@pytest.mark.parametrize(
    ("outline", "image"),
    [
        (np.zeros((9, 9), bool), np.zeros((9, 9, 3), np.uint8)),
        (np.ones((9, 8), bool), np.zeros((9, 9, 3), np.uint8)),
    ],
)
def test_an_outline_that_does_not_fit_is_refused(outline: np.ndarray, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="outline"):
        measure_lesion(outline, image)


@pytest.mark.parametrize("pixels", [1, 2, 9])
def test_a_lesion_of_few_pixels_has_finite_measures(pixels: int) -> None:
    lesion = np.zeros((64, 64), bool)
    lesion[30, 20 : 20 + pixels] = True
    found = measure_lesion(lesion, picture(lesion))
    assert found.diameter == pytest.approx(pixels / 64)
    assert np.isfinite(found.border.irregularity)


@pytest.mark.skipif(not HAM10000.is_dir(), reason="HAM10000 is not beside the checkout")
def test_real_lesions_with_their_masks() -> None:
    masks = sorted((HAM10000 / "masks").glob("*.png"))[::400]
    found = [measure_lesion(*_real(path.stem)) for path in masks]
    assert len(found) >= 10
    for each in found:
        assert each.border.irregularity >= 1
        assert 0 <= each.border.abrupt <= each.border.segments <= 8
        assert 0 < sum(each.colours.values()) <= 1 + 1e-9 or not any(each.colours.values())
        assert each.asymmetry is None or all(0 <= share < 0.6 for share in each.asymmetry.shape)
    # A heavily pigmented, blue-black melanoma, and a plain brown nevus.
    blue = measure_lesion(*_real("ISIC_0024459")).colours
    assert blue["blue-grey"] > 0.2
    nevus = measure_lesion(*_real("ISIC_0031187"))
    assert nevus.colours["dark brown"] > 0.5
    assert nevus.whole


@pytest.mark.skipif(not HAM10000.is_dir(), reason="HAM10000 is not beside the checkout")
def test_a_real_lesion_turned_and_halved_measures_the_same() -> None:
    mask, image = _real("ISIC_0031187")
    one = measure_lesion(mask, image)
    turned = measure_lesion(np.rot90(mask).copy(), np.rot90(image).copy())
    large = measure_lesion(np.kron(mask, np.ones((2, 2), bool)), np.kron(image, np.ones((2, 2, 1), np.uint8)))
    assert one.asymmetry is not None
    for other in (turned, large):
        assert other.asymmetry is not None
        assert other.diameter == pytest.approx(one.diameter, abs=0.01)
        assert other.border.irregularity == pytest.approx(one.border.irregularity, rel=0.03)
        assert other.asymmetry.shape == pytest.approx(one.asymmetry.shape, abs=0.02)
        assert other.asymmetry.colour == pytest.approx(one.asymmetry.colour, abs=1)
        for name, share in one.colours.items():
            assert other.colours[name] == pytest.approx(share, abs=0.03)


def _real(name: str) -> tuple[np.ndarray, np.ndarray]:
    with Image.open(HAM10000 / "masks" / f"{name}.png") as mask:
        outline = np.array(mask).astype(int) > 0
    with Image.open(HAM10000 / "images" / f"{name}.jpg") as image:
        return outline, np.array(image.convert("RGB"))
