"""The trainer of a clinic, and the batch normalisation that it saves between rounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.client.node.clinic_trainer import (
    SAVED_ROUNDS,
    BatchNormFiles,
    batch_norm_files,
    build_clinic_trainer,
    clinic_seed,
)
from dermafed.shared.errors import DatasetError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import read_clinic_split, write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.model.classifier import batch_norm_mask
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.predict import predict
from dermafed.shared.training.training_network import shared_classifier
from tests.shared.training.tiny import CLASSES, lesions, plain, start, tiny, tiny_backbones, trainer

PREPROCESS = PreprocessSettings(image_size=32, denoise="none", clahe=False, clahe_grid=4)
PLAN = Plan(tiny(), PREPROCESS, plain(epochs=1), rounds=2, class_counts=(4, 4, 4), seed=5)


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        yield


def records(folder: Path, count: int) -> tuple[LesionRecord, ...]:
    """Uniform images, each of its own grey level."""
    made = []
    for i in range(count):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), np.full((40, 40, 3), 10 * i, np.uint8))
        made.append(LesionRecord(path.stem, path, CLASSES[i % 3], age=10.0 * i))
    return tuple(made)


@pytest.fixture
def clinic_folder(tmp_path: Path) -> Path:
    images = records(tmp_path, 9)
    write_clinic_split(tmp_path / "Graz", Splits(images[:6], images[6:8], images[8:]))
    return tmp_path / "Graz"


def test_a_trainer_has_its_clinics_images(clinic_folder: Path, tmp_path: Path) -> None:
    trainer = build_clinic_trainer(clinic_folder, PLAN, tmp_path / "state")
    assert trainer.data.images.shape == (6, 32, 32, 3)
    np.testing.assert_array_equal(trainer.data.images[:, 16, 16, 0], [0, 10, 20, 30, 40, 50])
    np.testing.assert_array_equal(trainer.data.labels, [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(trainer.validation.labels, [0, 1])
    assert trainer.data.metadata is None
    assert (trainer.rounds, trainer.memory) == (2, None)
    update = trainer.train(start(PLAN.model), 1, {})
    assert update.weight == 6
    assert trainer.evaluate(update.weights, 1).images == 2


def test_guidance_brings_the_masks_and_a_clinic_without_any_has_none(
    clinic_folder: Path, tmp_path: Path
) -> None:
    """Of the first image the left half is lesion, in 4 x 4 cells; the second mask has another shape."""
    guided = replace(PLAN, model=replace(PLAN.model, features="blocks"), recipe=plain(guidance=0.1))
    assert build_clinic_trainer(clinic_folder, PLAN, tmp_path / "state").data.lesions is None
    assert build_clinic_trainer(clinic_folder, guided, tmp_path / "state").data.lesions is None
    cv2.imwrite(str(tmp_path / "left.png"), np.repeat([[255, 0]], 20, axis=1).repeat(40, axis=0))
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((10, 40), 255, np.uint8))
    first, second, *others = records(tmp_path, 9)
    masked = (replace(first, mask=tmp_path / "left.png"), replace(second, mask=tmp_path / "wide.png"))
    write_clinic_split(tmp_path / "Linz", Splits((*masked, *others[:4]), (others[4],), (others[5],)))
    lesions = build_clinic_trainer(tmp_path / "Linz", guided, tmp_path / "state").data.lesions
    assert lesions is not None
    assert lesions.shape == (6, 4, 4)
    np.testing.assert_array_equal(lesions[0], [[1, 1, 0, 0]] * 4)
    assert not lesions[1:].any()


def test_metadata_and_own_batch_norm_where_the_plan_asks(clinic_folder: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, model=tiny(metadata=True, batch_norm="local"))
    trainer = build_clinic_trainer(clinic_folder, plan, tmp_path / "state")
    assert trainer.data.metadata is not None
    np.testing.assert_allclose(trainer.data.metadata[:, 0], [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert trainer.memory == BatchNormFiles(tmp_path / "state") == batch_norm_files(plan, tmp_path / "state")


def test_a_clinics_seed_depends_on_its_name_and_the_run(clinic_folder: Path, tmp_path: Path) -> None:
    graz = read_clinic_split(clinic_folder)
    wien = replace(graz, name="Wien")
    assert clinic_seed(graz, 1) == clinic_seed(replace(graz, splits=Splits((), (), ())), 1)
    assert len({clinic_seed(graz, 1), clinic_seed(graz, 2), clinic_seed(wien, 1), clinic_seed(wien, 2)}) == 4


def test_a_label_of_no_class_is_named(tmp_path: Path) -> None:
    (record,) = records(tmp_path, 1)
    with pytest.raises(DatasetError, match="'wart' is not a class of the model") as caught:
        load_labelled([replace(record, label="wart")], PLAN.model, PREPROCESS)
    assert caught.value.where == str(record.path)


def test_a_folder_without_a_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        build_clinic_trainer(tmp_path, PLAN, tmp_path)


LOCAL = tiny(batch_norm="local")


def values(round: int) -> np.ndarray:
    return np.full(4, round, np.float32)


def test_a_round_starts_from_the_last_one_before_it(tmp_path: Path) -> None:
    files = BatchNormFiles(tmp_path / "state")
    assert files.load(1) is None
    files.save(values(1), round=1)
    files.save(values(4), round=4)  # the clinic missed two
    assert files.load(1) is None
    for before, expected in ((2, 1), (4, 1), (5, 4), (9, 4)):
        np.testing.assert_array_equal(files.load(before), values(expected))


def test_only_the_last_rounds_are_saved(tmp_path: Path) -> None:
    files = BatchNormFiles(tmp_path)
    for round in range(1, 13):
        files.save(values(round), round=round)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"round-{r}.npy" for r in (10, 11, 12)]
    assert SAVED_ROUNDS == 3


def test_going_back_drops_nothing_that_is_needed(tmp_path: Path) -> None:
    files = BatchNormFiles(tmp_path)
    for round in (1, 2, 8, 9, 8):  # it missed five rounds, and the run went back by two
        files.save(values(round), round=round)
        np.testing.assert_array_equal(files.load(round + 1), values(round))
    np.testing.assert_array_equal(files.load(8), values(2))


def clinic(folder: Path) -> KerasTrainer:
    return trainer(LOCAL, plain(optimizer="sgd"), lesions(8), memory=BatchNormFiles(folder), rounds=3)


def own_mask() -> np.ndarray:
    return batch_norm_mask(shared_classifier(LOCAL))


def test_a_clinics_own_values_come_back_in_the_next_round(tmp_path: Path) -> None:
    weights, clinic_folder = start(LOCAL), clinic(tmp_path)
    first = clinic_folder.train(weights, 1, {}).weights
    own = own_mask()
    np.testing.assert_array_equal(BatchNormFiles(tmp_path).load(2), first[own])
    shared = np.where(own, np.float32(0.5), first)  # the others' batch norm, which must not matter
    second = clinic_folder.train(shared, 2, {}).weights
    without_memory = trainer(LOCAL, plain(optimizer="sgd"), lesions(8), rounds=3)
    np.testing.assert_array_equal(second, without_memory.train(first, 2, {}).weights)
    assert not np.array_equal(second, without_memory.train(shared, 2, {}).weights)


def test_a_repeated_round_starts_from_the_same_values(tmp_path: Path) -> None:
    clinic_folder = clinic(tmp_path)
    first = clinic_folder.train(start(LOCAL), 1, {}).weights
    second = clinic_folder.train(first, 2, {}).weights
    np.testing.assert_array_equal(clinic(tmp_path).train(first, 2, {}).weights, second)


def test_a_model_is_evaluated_with_the_clinics_own_values_of_its_round(tmp_path: Path) -> None:
    clinic_folder, data = clinic(tmp_path), lesions(8)
    trained = clinic_folder.train(start(LOCAL), 1, {}).weights
    averaged = np.where(own_mask(), np.float32(0.5), trained)
    memory = BatchNormFiles(tmp_path)
    np.testing.assert_array_equal(
        predict(LOCAL, averaged, data, round=1, memory=memory), predict(LOCAL, trained, data)
    )
    np.testing.assert_array_equal(
        clinic_folder.evaluate(averaged, 1).confusion,
        trainer(LOCAL, plain(), data).evaluate(trained, 1).confusion,
    )
