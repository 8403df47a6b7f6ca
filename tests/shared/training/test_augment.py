from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.metrics.fairness.skin_tone import tone, typology_angle
from dermafed.shared.training import augment as module
from dermafed.shared.training.augment import augment

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
RANGES = ("ROTATION", "ZOOM", "GAIN", "TINT", "GAMMA")


def neutral(monkeypatch: pytest.MonkeyPatch, **changes: tuple[float, float]) -> None:
    for name in RANGES:
        default = (0.0, 0.0) if name == "ROTATION" else (1.0, 1.0)
        monkeypatch.setattr(module, name, changes.get(name, default))


def copies(count: int = 20) -> list[np.ndarray]:
    return [augment(IMAGE, np.random.default_rng(seed)) for seed in range(count)]


def test_shape_and_type_stay_and_the_image_itself_is_not_touched() -> None:
    before = IMAGE.copy()
    for copy in copies():
        assert copy.shape == IMAGE.shape
        assert copy.dtype == np.uint8
    np.testing.assert_array_equal(IMAGE, before)


def test_the_generator_is_the_only_source_of_randomness() -> None:
    for first, again in zip(copies(), copies(), strict=True):
        np.testing.assert_array_equal(first, again)
    assert len({copy.tobytes() for copy in copies()}) == 20


def test_neutral_parameters_give_the_image_or_its_mirror_image(monkeypatch: pytest.MonkeyPatch) -> None:
    neutral(monkeypatch)
    mirrored = IMAGE[:, ::-1]
    assert {copy.tobytes() for copy in copies()} == {IMAGE.tobytes(), mirrored.tobytes()}


def test_half_a_turn_reverses_both_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    neutral(monkeypatch, ROTATION=(180.0, 180.0))
    assert {copy.tobytes() for copy in copies()} == {IMAGE[::-1, ::-1].tobytes(), IMAGE[::-1].tobytes()}


def test_zoom_enlarges_about_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    neutral(monkeypatch, ZOOM=(2.0, 2.0))
    square = np.zeros((32, 32, 3), np.uint8)
    square[12:20, 12:20] = 200
    copy = augment(square, np.random.default_rng(0))
    rows, columns = np.nonzero(copy[:, :, 0] > 100)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 23, 8, 23)


def test_worked_example_of_gain_and_gamma(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.full((32, 32, 3), 64, np.uint8)
    neutral(monkeypatch, GAIN=(1.1, 1.1))
    assert (augment(grey, np.random.default_rng(0)) == 70).all()  # 70.4
    neutral(monkeypatch, GAMMA=(0.5, 0.5))
    assert (augment(grey, np.random.default_rng(0)) == 128).all()  # 255 sqrt(64 / 255) = 127.7
    neutral(monkeypatch, GAIN=(9.0, 9.0))
    assert (augment(grey, np.random.default_rng(0)) == 255).all()


def test_melanin_darkens_blue_most_and_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    neutral(monkeypatch)
    monkeypatch.setattr(module, "MELANIN", (0.5, 0.5))
    skin = np.full((32, 32, 3), (225, 190, 170), np.uint8)
    assert (augment(skin, np.random.default_rng(0)) == skin).all()
    # exp(-0.5 (w / 550)^-3.33 / 2.2) at 610, 550 and 465 nm: 0.851, 0.797, 0.672.
    assert (augment(skin, np.random.default_rng(0), tones=True) == (192, 151, 114)).all()


def test_tones_reach_from_very_light_skin_to_tan() -> None:
    skin = np.full((64, 64, 3), (225, 190, 170), np.uint8)
    angles = [
        typology_angle(augment(skin, np.random.default_rng(seed), tones=True)) or 0 for seed in range(60)
    ]
    assert {"very light", "light", "intermediate", "tan"} <= {tone(angle) for angle in angles}
