"""The overlay: the colours of the map where it is high, the image where it is not, and the captions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from matplotlib.text import Text

from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.explain.network import Target
from dermafed.shared.explain.overlay import CAVEAT, OPACITY, blend, colour_words, overlay_png
from tests.shared.explain.small_networks import small_image

CLASSLESS = "This map does not depend on the class."
NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def explanation(
    heatmap: np.ndarray, against: int | None = None, alike: float = 0.5, signed: bool = False
) -> Explanation:
    probabilities = np.array([0.2, 0.7, 0.1], np.float32)
    return Explanation(
        heatmap.astype(np.float32),
        0.1,
        0.9,
        Target(2, against),
        probabilities,
        "evidence" if signed else "scorecam",
        0.99,
        60,
        1.0,
        alike,
        signed,
    )


def test_the_opacity_follows_the_map() -> None:
    image = np.full((1, 3, 3), 100, np.uint8)
    mixed = blend(image, np.array([[0, 0.5, 1]], np.float32))
    assert mixed[0, 0].tolist() == [100, 100, 100]
    yellow = 255 * np.array([0.993248, 0.906157, 0.143936])  # viridis' last colour
    assert mixed[0, 2] == pytest.approx((1 - OPACITY) * 100 + OPACITY * yellow, abs=1)
    green = 255 * np.array([0.127568, 0.566949, 0.550556])  # and its middle
    assert mixed[0, 1] == pytest.approx((1 - OPACITY / 2) * 100 + OPACITY / 2 * green, abs=1)


def test_a_signed_map_has_a_colour_a_side_and_is_clear_at_zero() -> None:
    image = np.full((1, 4, 3), 100, np.uint8)
    mixed = blend(image, np.array([[-1, 0, 0.5, 1]], np.float32), signed=True)
    blue, yellow = (86, 180, 233), (240, 228, 66)
    for place, colour, share in ((0, blue, 1), (1, yellow, 0), (2, yellow, 0.5), (3, yellow, 1)):
        expected = (1 - share * OPACITY) * 100 + share * OPACITY * np.array(colour)
        assert mixed[0, place] == pytest.approx(expected, abs=2)


def test_the_picture_is_a_png_that_shows_image_and_map() -> None:
    image, ramp = small_image(1, 64), np.linspace(0, 1, 64 * 64).reshape(64, 64)
    picture = overlay_png(image, explanation(ramp), NAMES)
    assert picture == overlay_png(image, explanation(ramp), NAMES)
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[0] > 300
    assert decoded.shape[1] > 600
    assert picture != overlay_png(image, explanation(ramp[::-1]), NAMES)


@pytest.mark.parametrize(
    ("heatmap", "against", "alike", "expected"),
    [
        (np.eye(64), 0, 0.95, "seborrheic keratosis rather than melanoma"),
        (-np.eye(64), 0, -1, "above 0: for seborrheic keratosis; below: for melanoma"),
        (-np.eye(64), None, -1, "above 0: for seborrheic keratosis; below: against"),
        (np.eye(64), None, 0.951, CLASSLESS),
        (np.zeros((64, 64)), None, 1.0, "The map is zero everywhere"),
    ],
)
def test_the_captions(
    heatmap: np.ndarray,
    against: int | None,
    alike: float,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []
    set_text = Text.set_text

    def listen(self: Text, text: object) -> None:
        drawn.append(str(text))
        set_text(self, text)

    monkeypatch.setattr(Text, "set_text", listen)
    found = explanation(heatmap, against, alike, signed=heatmap.min() < 0)
    overlay_png(small_image(1, 64), found, NAMES)
    text = "\n".join(drawn)
    for expected_text in (expected, CAVEAT, "Prediction: nevus, probability 0.70", "Research use only"):
        assert expected_text in text
    assert ("0.9" in drawn) == bool(heatmap.any())
    assert ("-0.9" in drawn) == found.signed == bool(colour_words(found))
    assert (CLASSLESS in text) == (expected == CLASSLESS)
