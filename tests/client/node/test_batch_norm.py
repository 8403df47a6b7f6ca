from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.node.batch_norm import KEPT, BatchNormFiles
from dermafed.shared.model.classifier import batch_norm_mask
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.predict import predict
from dermafed.shared.training.training_network import shared_classifier
from tests.shared.training.tiny import lesions, plain, start, tiny, tiny_backbones, trainer

LOCAL = tiny(batch_norm="local")


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


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


def test_only_the_last_rounds_are_kept(tmp_path: Path) -> None:
    files = BatchNormFiles(tmp_path)
    for round in range(1, 13):
        files.save(values(round), round=round)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"round-{r}.npy" for r in (10, 11, 12)]
    assert KEPT == 3


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
    weights, site = start(LOCAL), clinic(tmp_path)
    first = site.train(weights, 1, {}).weights
    own = own_mask()
    np.testing.assert_array_equal(BatchNormFiles(tmp_path).load(2), first[own])
    shared = np.where(own, np.float32(0.5), first)  # the others' batch norm, which must not matter
    second = site.train(shared, 2, {}).weights
    without_memory = trainer(LOCAL, plain(optimizer="sgd"), lesions(8), rounds=3)
    np.testing.assert_array_equal(second, without_memory.train(first, 2, {}).weights)
    assert not np.array_equal(second, without_memory.train(shared, 2, {}).weights)


def test_a_repeated_round_starts_from_the_same_values(tmp_path: Path) -> None:
    site = clinic(tmp_path)
    first = site.train(start(LOCAL), 1, {}).weights
    second = site.train(first, 2, {}).weights
    np.testing.assert_array_equal(clinic(tmp_path).train(first, 2, {}).weights, second)


def test_a_model_is_judged_with_the_clinics_own_values_of_its_round(tmp_path: Path) -> None:
    site, data = clinic(tmp_path), lesions(8)
    trained = site.train(start(LOCAL), 1, {}).weights
    averaged = np.where(own_mask(), np.float32(0.5), trained)
    memory = BatchNormFiles(tmp_path)
    np.testing.assert_array_equal(
        predict(LOCAL, averaged, data, round=1, memory=memory), predict(LOCAL, trained, data)
    )
    assert site.evaluate(averaged, 1).loss == trainer(LOCAL, plain(), data).evaluate(trained, 1).loss
