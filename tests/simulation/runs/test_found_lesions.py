"""A run's lesion finder: saved with the model, measured on the test images with masks, by clinic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from dermafed.client.node.clinic_finder import ClinicFinder
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.run_finder import ClinicsFinder
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import load_finder
from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.recipe import Recipe
from dermafed.simulation.runs.arms import Arm, load_found_lesions
from dermafed.simulation.runs.found_lesions import save_and_test_finder
from dermafed.simulation.runs.train_arm import train_and_test
from tests.shared.training.tiny import tiny_backbones

pytestmark = pytest.mark.journey

MODEL = ModelSettings(("melanoma", "nevus"), image_size=64)
PREPROCESS = PreprocessSettings(image_size=64, denoise="none", clahe=False, clahe_grid=4)
PLAN = Plan(MODEL, PREPROCESS, Recipe(), rounds=1, class_counts=(12, 12), seed=5)


def records(folder: Path, count: int, masks: bool) -> tuple[LesionRecord, ...]:
    """Discs on bright noise, darker for the first class, with their masks."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        mask, centre = np.zeros((64, 64), np.uint8), rng.integers(20, 44, 2).tolist()
        cv2.circle(mask, centre, int(rng.integers(10, 20)), 255, cv2.FILLED)
        image = rng.uniform(150, 250, (64, 64, 3)) - (150 - 60 * (number % 2)) * (mask[..., None] > 0)
        path, where = folder / f"{number}.png", folder / f"{number}_mask.png"
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
        cv2.imwrite(str(where), mask)
        label = MODEL.classes[number % 2]
        made.append(LesionRecord(path.stem, path, label, mask=where if masks else None))
    return tuple(made)


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Two clinics, of which the second has no masks."""
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    for name, masks in (("graz", True), ("linz", False)):
        images = records(tmp_path / f"images of {name}", 36, masks)
        write_clinic_split(tmp_path / name, Splits(images[:24], images[24:26], images[26:]))
    clinics = (tmp_path / "graz", tmp_path / "linz")
    model = (tmp_path / "model.keras", ModelInfo(MODEL, PREPROCESS, "none", 1))
    folder = tmp_path / "arm"
    folder.mkdir()
    return Arm(
        "federated",
        folder,
        clinics,
        clinics,
        PLAN,
        "fedavg",
        "local",
        "none",
        model=model,
        lesion_finder=True,
    )


def test_it_is_saved_with_the_model_and_measured_where_there_are_masks(arm: Arm) -> None:
    keras.utils.set_random_seed(3)
    weights = to_flat(build_classifier(MODEL))
    sums = ClinicFinder(arm.members[0], PLAN, lambda finder: None).sums(weights)
    finder = LesionFinder.of(sums, weights_digest(weights))
    ClinicsFinder(1, finder, {"graz": 24}, {"linz": "no masks"}).save(arm.folder)
    save_and_test_finder(arm, weights)
    assert arm.model is not None
    saved = load_finder(arm.model[0], weights_digest(weights))
    assert saved is not None
    np.testing.assert_array_equal(saved.kernel, finder.kernel)
    found = load_found_lesions(arm)
    assert (found["round"], found["clinics"], found["left_out"]) == (1, {"graz": 24}, {"linz": "no masks"})
    assert set(found["test"]["clinics"]) == {"graz"}
    assert found["test"]["all"] == found["test"]["clinics"]["graz"]
    assert found["test"]["all"]["images"] == 10
    assert found["test"]["all"]["dice"]["mean"] > 0.7
    assert found["test"]["all"]["precision"]["mean"] > 0.8
    assert found["test"]["all"]["nothing_found"] <= 2


def test_without_masks_nothing_is_saved_or_measured(arm: Arm) -> None:
    ClinicsFinder(1, None, {}, {"graz": "no masks", "linz": "no masks"}).save(arm.folder)
    save_and_test_finder(arm, np.zeros(1, np.float32))
    assert arm.model is not None
    assert load_finder(arm.model[0], "ab" * 32) is None
    assert load_found_lesions(arm)["test"] is None


def test_the_last_layer_reads_the_lesion_that_the_clinics_find(arm: Arm) -> None:
    """Also at the clinic without masks, since the finder is a part of the model."""
    settings = replace(MODEL, backbone="EfficientNetB5", features="lesion", frozen_blocks=4)
    recipe = Recipe(epochs=0.25, views=1, head_images=1)
    arm = replace(
        arm,
        plan=Plan(settings, PREPROCESS, recipe, rounds=1, class_counts=(24, 24), seed=5),
        model=(arm.folder.parent / "model.keras", ModelInfo(settings, PREPROCESS, "none", 1)),
        refit="logistic",
    )
    assert arm.model is not None
    with tiny_backbones():
        train_and_test(arm)
        state = load_state(arm.folder)
        model, info = load_model(arm.model[0])
        again = ClinicFinder(arm.members[0], arm.plan, lambda finder: None).sums(state.weights)
    finder = load_finder(arm.model[0], weights_digest(state.weights))
    assert finder is not None
    size = len(finder.kernel) + 1
    np.testing.assert_allclose(to_flat(model)[:size], finder.flat(), rtol=1e-6)
    assert info.model.features == "lesion"
    assert [row.round for row in state.history] == [1, 2]
    np.testing.assert_allclose(LesionFinder.of(again, finder.model).kernel, finder.kernel, atol=1e-6)
