"""Training on saved features of a few views gives what training on the views themselves gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training import frozen_views
from dermafed.shared.training.augment import augment
from dermafed.shared.training.data import Batch, LabelledImages
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.frozen_front import frozen_front
from dermafed.shared.training.frozen_views import FrozenViews, saved_features
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.predict import apply_in_batches, predict
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector
from dermafed.shared.training.training_network import shared_classifier, training_network
from tests.shared.training.tiny import lesions, plain, start, tiny, trainer

SEED = 7  # of tiny.trainer
FROZEN = tiny(frozen_blocks=2)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of images of each pass through frozen blocks."""
    seen: list[int] = []

    def counted(network: Any, images: Any) -> Any:
        seen.append(len(images))
        return apply_in_batches(network, images)

    monkeypatch.setattr(frozen_views, "apply_in_batches", counted)
    return seen


def views_of(views: int, **changes: Any) -> Recipe:
    return plain(**{"augment": True, "views": views, "epochs": 1.5, **changes})


def in_32_bits(clinic: KerasTrainer) -> KerasTrainer:
    assert clinic._views is not None
    clinic._views.dtype = np.float32
    return clinic


def on_pixels(
    settings: ModelSettings, recipe: Recipe, data: LabelledImages, weights: FloatVector, rounds: int = 1
) -> FloatVector:
    """One clinic's rounds with the whole network, on the pixels of the view whose turn it is."""
    clinic = trainer(settings, replace(recipe, views=0), data, rounds=rounds)
    in_epoch = -(-len(data) // recipe.batch_size)
    for round in range(1, rounds + 1):
        network = training_network(settings, replace(recipe, views=0), 0.0, clinic._fixes_batch_norm(round))
        network.restart(weights, seed=clinic._seed(round, 0))
        steps = recipe.steps_of_round(round, in_epoch)
        for done, step in enumerate(steps):
            index, real = images_of(step, len(data), recipe.batch_size)
            number = step // in_epoch % recipe.views
            pixels = np.stack([view(data, number, i, recipe.artefacts) for i in index])
            batch = Batch(data.inputs(pixels, index), index, real)
            progress = (round - 1 + (done + 0.5) / len(steps)) / rounds
            rate = recipe.learning_rate_at(progress)
            network.step(batch, clinic._targets[index], clinic._weights[index], rate)
        weights = to_flat(network.classifier)
    return weights


def images_of(step: int, images: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    epoch, number = divmod(step, -(-images // size))
    order = np.random.default_rng((SEED, epoch)).permutation(images)
    index = order[number * size : (number + 1) * size]
    real = (np.arange(size) < len(index)).astype(np.float32)
    return np.resize(np.concatenate([index, order]), size), real


def view(data: LabelledImages, number: int, index: int, artefacts: float) -> np.ndarray:
    rng = np.random.default_rng((SEED, number, index))
    return augment(data.images[index], rng, artefacts=artefacts)


def trained(clinic: KerasTrainer, weights: FloatVector, rounds: int = 1) -> FloatVector:
    for round in range(1, rounds + 1):
        weights = clinic.train(weights, round, {}).weights
    return weights


@pytest.mark.parametrize(
    ("changes", "recipe"),
    [
        ({}, {}),
        ({"batch_norm": "fixed"}, {"optimizer": "sgd", "artefacts": 0.5}),
        ({"batch_norm": "frozen", "dropout": 0.5}, {"balance": "logits"}),
    ],
)
def test_in_32_bits_saved_features_train_as_the_pixels_of_their_views(
    changes: dict[str, Any], recipe: dict[str, Any]
) -> None:
    settings, how, data = tiny(frozen_blocks=2, **changes), views_of(3, **recipe), lesions(10)
    weights = start(settings)
    clinic = in_32_bits(trainer(settings, how, data, rounds=3))
    expected = on_pixels(settings, how, data, weights, 3)
    assert np.abs(expected - weights).max() > 1e-2
    np.testing.assert_array_equal(trained(clinic, weights, 3), expected)


def test_in_16_bits_they_train_nearly_so() -> None:
    how, data = views_of(2, optimizer="sgd"), lesions(10)
    weights = start(FROZEN)
    expected = on_pixels(FROZEN, how, data, weights)
    np.testing.assert_allclose(trained(trainer(FROZEN, how, data), weights), expected, rtol=0, atol=2e-3)


def test_metadata_stays_with_its_image() -> None:
    settings, how = tiny(frozen_blocks=2, metadata=True), views_of(2)
    data = replace(lesions(10), metadata=np.eye(10, dtype=np.float32))
    weights = start(settings)
    clinic = in_32_bits(trainer(settings, how, data))
    expected = on_pixels(settings, how, data, weights)
    np.testing.assert_allclose(trained(clinic, weights), expected, rtol=0, atol=1e-6)


def test_a_pass_takes_the_next_view_and_the_views_come_again() -> None:
    """Four images in batches of two: two steps an epoch; epochs 0 and 2 see view 0, epoch 1 view 1."""
    data = lesions(4)
    views = FrozenViews(data, 2, SEED, False, FeatureStore(Path("unused")))
    views._of = lambda front: [np.full((4, 1, 1, 1), number) for number in (0, 1)]  # type: ignore[method-assign]
    seen = [float(np.asarray(batch.inputs).mean()) for batch in views.batches(None, 2, range(6))]
    assert seen == [0, 0, 1, 1, 0, 0]


def test_views_differ_between_images_numbers_and_seeds() -> None:
    data = LabelledImages(lesions(1).images[[0, 0]], np.array([0, 0]))
    store = FeatureStore(Path("unused"))
    views = [FrozenViews(data, 2, seed, False, store).view(*of) for seed in (1, 2) for of in np.ndindex(2, 2)]
    assert len({one.tobytes() for one in views}) == 8
    again = FrozenViews(data, 2, 1, False, store).view(0, 0)
    np.testing.assert_array_equal(views[0], again)


def test_frozen_blocks_see_each_view_once_in_all_processes(passes: list[int], cache: Path) -> None:
    how, data = views_of(2), lesions(20)
    weights = start(FROZEN)
    clinic = trainer(FROZEN, how, data, rounds=2)
    both = trained(clinic, weights, 2)
    assert passes == [16, 4, 16, 4]
    clinic.evaluate(both, 2)
    assert passes[4:] == [16, 4]
    restarted = trainer(FROZEN, how, data, rounds=2)
    np.testing.assert_array_equal(restarted.train(clinic.train(weights, 1, {}).weights, 2, {}).weights, both)
    restarted.evaluate(both, 2)
    assert len(passes) == 6
    files = list((cache / "features").iterdir())
    assert sorted(np.load(path).dtype.name for path in files) == ["float16", "float16", "float32"]
    assert {np.load(path).shape for path in files} == {(20, 8, 8, 4)}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (cache / "features").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"recipe": views_of(1, tones=True)},
        {"recipe": views_of(1, artefacts=0.5)},
        {"data": lesions(6, seed=1)},
        {"weights": start},
    ],
)
def test_other_seeds_tones_artefacts_images_and_frozen_weights_are_computed_anew(
    passes: list[int], change: dict[str, Any]
) -> None:
    weights = start(FROZEN)
    trained(trainer(FROZEN, views_of(1), lesions(6)), weights)
    if "weights" in change:
        weights = start(FROZEN, 2)
    seed, recipe = change.get("seed", SEED), change.get("recipe", views_of(1))
    trained(trainer(FROZEN, recipe, change.get("data", lesions(6)), seed=seed), weights)
    assert passes == [6, 6]


def test_without_artefacts_the_saved_features_are_those_of_before_there_were_any() -> None:
    """The name of a file is the hash of these; another key would compute everybody's features anew."""
    views = FrozenViews(lesions(2), 1, SEED, False, FeatureStore(Path("unused")))
    assert views._drawn() == {"augmentation": 1, "seed": SEED, "tones": False}


def test_more_views_use_those_that_are_there(passes: list[int]) -> None:
    weights = start(FROZEN)
    for views, computed in ((1, 1), (3, 3), (2, 3)):
        trained(trainer(FROZEN, views_of(views), lesions(6)), weights)
        assert len(passes) == computed


def test_killed_between_views_it_ends_with_the_same_weights(
    passes: list[int], monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    how, data, weights = views_of(3, epochs=3), lesions(6), start(FROZEN)
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "other"))
    expected = trained(trainer(FROZEN, how, data), weights)
    monkeypatch.setenv("DERMAFED_CACHE", str(cache))
    passes.clear()
    counted = frozen_views.apply_in_batches

    def killed(network: Any, images: Any) -> Any:
        if len(passes) == 2:
            raise KeyboardInterrupt
        return counted(network, images)

    with monkeypatch.context() as patch:
        patch.setattr(frozen_views, "apply_in_batches", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(trainer(FROZEN, how, data), weights)
    assert len(list((cache / "features").iterdir())) == 2
    np.testing.assert_array_equal(trained(trainer(FROZEN, how, data), weights), expected)
    assert len(passes) == 3


def test_saved_validation_features_evaluate_as_the_whole_network() -> None:
    clinic, weights = trainer(FROZEN, views_of(2), lesions(15)), start(FROZEN)
    expected = ClinicEvaluation.from_predictions(
        clinic.validation.labels, predict(FROZEN, weights, clinic.validation)
    )
    assert clinic.evaluate(weights, 1).loss_sum == pytest.approx(expected.loss_sum, rel=1e-6)


def test_no_images_have_no_features(cache: Path) -> None:
    front = frozen_front(shared_classifier(FROZEN), 2)
    assert front is not None
    assert saved_features(front, lesions(1).images[:0], FeatureStore(cache)).shape == (0, 8, 8, 4)
    assert not cache.exists()


def test_without_views_nothing_is_saved(cache: Path) -> None:
    clinic = trainer(FROZEN, plain(augment=True), lesions(6))
    clinic.evaluate(trained(clinic, start(FROZEN)), 1)
    assert not cache.exists()


def test_the_front_of_no_frozen_block_is_none() -> None:
    classifier = shared_classifier(tiny())
    assert frozen_front(classifier, 0) is None
