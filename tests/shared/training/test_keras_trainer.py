from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.server_app import build_server_app
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.classifier import (
    batch_norm_mask,
    build_classifier,
    logits_model,
    set_flat,
    to_flat,
    trainable_mask,
)
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.predict import apply_classifier, predict
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector
from dermafed.shared.training.training_network import network_of_step, shared_classifier, training_network
from dermafed.simulation.engines.local import run_local
from tests.shared.training.tiny import (
    CLASSES,
    SIDE,
    lesions,
    plain,
    start,
    tiny,
    trainer,
    without_batch_statistics,
)


def orders(images: int, recipe: Recipe, round: int, seed: int = 7) -> list[NDArray[np.int64]]:
    """The round's epochs' orders, drawn from the clinic's seed and the epoch's number in the run."""
    epochs = int(recipe.epochs)
    first = (round - 1) * epochs
    return [np.random.default_rng((seed, first + epoch)).permutation(images) for epoch in range(epochs)]


def plain_keras(
    settings: ModelSettings, recipe: Recipe, data: LabelledImages, weights: FloatVector, rounds: int
) -> FloatVector:
    """The training as a user of Keras writes it: ``compile`` and ``fit``, once a round."""
    classifier = build_classifier(settings)
    classifier.get_layer("head_norm").trainable = settings.batch_norm != "frozen"
    set_flat(classifier, weights)
    model = logits_model(classifier)
    truth = keras.utils.to_categorical(data.labels, len(CLASSES))
    steps = math.ceil(len(data) / recipe.batch_size) * int(recipe.epochs)
    middles = iter((np.arange(rounds * steps) + 0.5) / (rounds * steps))
    rate = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: setattr(
            model.optimizer, "learning_rate", cosine(next(middles), recipe)
        )
    )
    for round in range(1, rounds + 1):
        optimizer = (
            keras.optimizers.SGD(momentum=0.9, nesterov=True)
            if recipe.optimizer == "sgd"
            else keras.optimizers.AdamW(weight_decay=recipe.weight_decay)
        )
        model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
        for order in orders(len(data), recipe, round):
            images = data.images[order].astype(np.float32)
            model.fit(images, truth[order], recipe.batch_size, shuffle=False, verbose=0, callbacks=[rate])
    return to_flat(classifier)


def cosine(progress: float, recipe: Recipe) -> float:
    if progress < recipe.warmup:
        return recipe.learning_rate * progress / recipe.warmup
    return (
        recipe.learning_rate * math.cos((progress - recipe.warmup) / (1 - recipe.warmup) * math.pi / 2) ** 2
    )


def federated(
    settings: ModelSettings, clinics: list[KerasTrainer], weights: FloatVector, rounds: int, folder: Path
) -> FloatVector:
    """The weights after a run of the real server and client apps."""
    rules = RoundRules(rounds=rounds, clinics=len(clinics), quorum=len(clinics))
    server = build_server_app(weights, len(settings.classes), rules, folder)
    client = build_client_app(lambda context: clinics[int(context.node_config["partition-id"])])
    run_local(server, client, len(clinics))
    return load_state(folder).weights


@pytest.mark.parametrize(("optimizer", "rounds"), [("sgd", 2), ("adamw", 1)])
def test_one_clinic_alone_trains_as_plain_keras(optimizer: str, rounds: int, tmp_path: Path) -> None:
    settings, data = tiny(), lesions(8)
    recipe = plain(optimizer=optimizer, epochs=2, learning_rate=0.01, weight_decay=0.01)
    weights = start(settings)
    clinic = trainer(settings, recipe, data, rounds=rounds)
    alone = federated(settings, [clinic], weights, rounds, tmp_path)
    assert np.abs(alone - weights).max() > 1e-3
    expected = plain_keras(settings, recipe, data, weights, rounds)
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-5)
    for round in range(1, rounds + 1):
        weights = clinic.train(weights, round, {}).weights
    np.testing.assert_array_equal(weights, alone)


def test_an_unfilled_last_batch_trains_as_plain_keras_with_frozen_batch_norm() -> None:
    settings, data, recipe = without_batch_statistics(), lesions(7), plain(optimizer="sgd", epochs=2)
    weights = start(settings)
    update = trainer(settings, recipe, data).train(weights, 1, {})
    assert update.weight == 7
    assert np.abs(update.weights - weights).max() > 1e-3
    expected = plain_keras(settings, recipe, data, weights, 1)
    np.testing.assert_allclose(update.weights, expected, rtol=0, atol=1e-5)


def joined(parts: list[LabelledImages]) -> LabelledImages:
    images = np.concatenate([part.images for part in parts])
    return LabelledImages(images, np.concatenate([part.labels for part in parts]))


def test_a_full_batch_step_of_each_clinic_is_a_pooled_step(tmp_path: Path) -> None:
    settings = without_batch_statistics()
    recipe = plain(optimizer="sgd", batch_size=12, learning_rate=0.1)
    weights = start(settings)
    parts = [lesions(images, seed) for seed, images in enumerate((3, 5, 4))]
    clinics = [trainer(settings, recipe, part, seed=seed) for seed, part in enumerate(parts)]
    together = federated(settings, clinics, weights, 1, tmp_path)
    pooled = trainer(settings, recipe, joined(parts)).train(weights, 1, {}).weights
    assert np.abs(pooled - weights).max() > 1e-3
    np.testing.assert_allclose(together, pooled, rtol=0, atol=1e-5)
    np.testing.assert_allclose(pooled, sgd_step(settings, joined(parts), weights), rtol=0, atol=1e-5)


def sgd_step(settings: ModelSettings, data: LabelledImages, weights: FloatVector) -> FloatVector:
    """One Nesterov step from rest, 1.9 times the gradient's, at half of the cosine's way."""
    classifier = build_classifier(settings)
    classifier.get_layer("head_norm").trainable = False
    set_flat(classifier, weights)
    classifier.compile(
        keras.optimizers.SGD(1.9 * 0.1 * math.cos(0.4 / 0.9 * math.pi / 2) ** 2),
        keras.losses.SparseCategoricalCrossentropy(),
        run_eagerly=True,
    )
    classifier.train_on_batch(data.images.astype(np.float32), data.labels)
    return to_flat(classifier)


def test_fixed_batch_norm_moves_in_the_first_half_only() -> None:
    settings = tiny(batch_norm="fixed")
    clinic, weights = trainer(settings, plain(), lesions(8), rounds=3), start(settings)
    batch_norm = batch_norm_mask(shared_classifier(settings))
    for round, moves in ((1, True), (2, True), (3, False)):
        moved = clinic.train(weights, round, {}).weights != weights
        assert moved[batch_norm].any() == moves
        assert moved[~batch_norm].any()


def test_with_fixed_batch_norm_two_clinics_step_as_one() -> None:
    settings, data = tiny(batch_norm="fixed"), [lesions(6), lesions(3, seed=1)]
    weights, recipe = start(settings), plain(optimizer="sgd", batch_size=9, learning_rate=1.0)
    *clinics, pooled = (
        trainer(settings, recipe, part, rounds=4).train(weights, 4, {}) for part in [*data, joined(data)]
    )
    mean = np.average([update.weights for update in clinics], axis=0, weights=[6, 3])
    assert np.abs(pooled.weights - weights).max() > 1e-3
    np.testing.assert_allclose(mean, pooled.weights, rtol=0, atol=1e-5)


def test_quarters_of_an_epoch_make_a_whole_one() -> None:
    clinic = trainer(tiny(), plain(epochs=0.25), lesions(40), rounds=5)
    steps = [list(clinic._steps(round)) for round in range(1, 6)]
    assert steps == [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9], [10, 11, 12]]
    smallest = trainer(tiny(), plain(epochs=0.25), lesions(3), rounds=2)
    assert [list(smallest._steps(round)) for round in (1, 2)] == [[0], [1]]


def test_steps_take_the_place_of_epochs_and_go_on_through_them() -> None:
    """Two steps a round, three an epoch: FLamby's loaders remember where they were, too."""
    clinic = trainer(tiny(), plain(steps=2, epochs=9), lesions(12), rounds=3)
    assert [list(clinic._steps(round)) for round in (1, 2, 3)] == [[0, 1], [2, 3], [4, 5]]


def test_worked_example_of_flambys_local_step() -> None:
    """Plain SGD on the mean of (N / N_c) (1 - p)^2 (-log p), N over all clinics, at a constant rate."""
    settings, data = without_batch_statistics(), lesions(7)
    recipe = plain(
        optimizer="sgd", momentum=0.0, schedule="constant", balance="global", focus=2.0, steps=1, batch_size=7
    )
    everywhere, weights = np.array([20, 70, 10]), start(settings)
    update = trainer(settings, recipe, data, class_counts=everywhere).train(weights, 1, {})
    assert update.weight == 7
    classifier = build_classifier(settings)
    classifier.get_layer("head_norm").trainable = False
    set_flat(classifier, weights)
    alpha = keras.ops.convert_to_tensor((100 / everywhere).astype(np.float32))

    def flamby(labels: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
        p = keras.ops.sum(labels * probabilities, axis=-1)
        return -keras.ops.sum(labels * alpha, axis=-1) * (1 - p) ** 2 * keras.ops.log(p)

    classifier.compile(keras.optimizers.SGD(recipe.learning_rate), flamby, run_eagerly=True)
    classifier.train_on_batch(data.images.astype(np.float32), keras.utils.to_categorical(data.labels, 3))
    assert np.abs(update.weights - weights).max() > 1e-3
    np.testing.assert_allclose(update.weights, to_flat(classifier), rtol=0, atol=1e-5)


def test_a_clinic_weighs_as_its_images_count_for_each_class() -> None:
    counts = tuple(np.bincount(lesions(9).labels))
    assert counts == (3, 3, 3)
    for balance, weight in (("none", 9), ("global", 9), ("weights", 16), ("logits", 16)):
        clinic = trainer(tiny(), plain(balance=balance), lesions(9), class_counts=(3, 6, 21))
        # 30 images in all: 3 * 30 / (3 * 3) + 3 * 30 / (3 * 6) + 3 * 30 / (3 * 21) = 10 + 5 + 1.43
        assert clinic.train(start(tiny()), 1, {}).weight == weight


def test_padding_images_do_not_move_the_weights() -> None:
    settings, data = without_batch_statistics(), lesions(5)
    weights = start(settings)
    exact, padded = (
        trainer(settings, plain(optimizer="sgd", batch_size=size), data).train(weights, 1, {})
        for size in (5, 12)
    )
    np.testing.assert_allclose(exact.weights, padded.weights, rtol=0, atol=1e-6)
    assert exact.metrics["loss"] == pytest.approx(padded.metrics["loss"], abs=1e-5)


RANDOM = {"augment": True, "balance": "weights", "epochs": 2}


def test_a_used_process_trains_the_same_bits_as_a_fresh_one() -> None:
    settings, recipe = tiny(backbone="EfficientNetB6", dropout=0.5), plain(**RANDOM)
    clinic, weights = trainer(settings, recipe, lesions(7), rounds=3), start(settings)
    first = clinic.train(weights, 2, {})
    np.testing.assert_array_equal(clinic.train(weights, 2, {}).weights, first.weights)
    assert not np.array_equal(clinic.train(weights, 3, {}).weights, first.weights)
    clinic.evaluate(weights, 1)
    keras.utils.set_random_seed(99)
    network_of_step.cache_clear()
    shared_classifier.cache_clear()
    again = clinic.train(weights, 2, {})
    np.testing.assert_array_equal(again.weights, first.weights)
    assert again.metrics == first.metrics


def test_recipes_share_a_network_if_they_differ_in_nothing_of_its_step() -> None:
    settings, data = tiny(), lesions(7)
    one = plain(optimizer="sgd", learning_rate=0.02)
    other = replace(
        one, learning_rate=0.01, schedule="constant", balance="logits", label_smoothing=0.1, epochs=2
    )
    weights = start(settings)
    trainer(settings, one, data).train(weights, 1, {})
    shared = trainer(settings, other, data).train(weights, 1, {})
    assert training_network(settings, one, 0.0) is training_network(settings, other, 0.0)
    network_of_step.cache_clear()
    fresh = trainer(settings, other, data).train(weights, 1, {})
    np.testing.assert_array_equal(shared.weights, fresh.weights)
    assert shared.metrics == fresh.metrics
    network = training_network(settings, one, 0.0)
    for change in ({"momentum": 0.5}, {"optimizer": "adamw"}, {"focus": 2.0}, {"batch_size": 2}):
        assert training_network(settings, replace(one, **change), 0.0) is not network
    assert training_network(settings, one, 1.0) is not network


def test_a_clinic_has_its_own_randomness() -> None:
    settings, recipe, data = tiny(backbone="EfficientNetB6", dropout=0.5), plain(**RANDOM), lesions(7)
    weights = start(settings)
    one, other = (trainer(settings, recipe, data, seed=seed).train(weights, 1, {}) for seed in (1, 2))
    assert not np.array_equal(one.weights, other.weights)


def test_each_dropout_layer_draws_from_a_key_of_its_own() -> None:
    settings = tiny(backbone="EfficientNetB6", dropout=0.5)
    network = training_network(settings, plain(**RANDOM), 0.0)
    network.restart(start(settings), seed=3)
    states = [
        keras.ops.convert_to_numpy(layer.seed_generator.state.value)
        for layer in network.classifier.layers
        if isinstance(layer, keras.layers.Dropout)
    ]
    assert len({int(key) for key, _ in states}) == len(states) == 3


def test_proximal_training_stays_near_the_global_model() -> None:
    settings, recipe = tiny(), plain(optimizer="sgd", epochs=3, learning_rate=0.02)
    clinic, weights = trainer(settings, recipe, lesions(8)), start(settings)
    trained = {mu: clinic.train(weights, 1, {"proximal_mu": mu}).weights for mu in (0.0, 10.0)}
    by_gradient = trainable_mask(shared_classifier(settings))
    moved = {mu: np.linalg.norm((result - weights)[by_gradient]) for mu, result in trained.items()}
    np.testing.assert_array_equal(trained[0.0], clinic.train(weights, 1, {}).weights)
    assert moved[10.0] < 0.8 * moved[0.0]


def test_class_weights_make_a_rare_class_count_as_much() -> None:
    """Nine images of one class and three of another weigh as three of each, three times over."""
    settings = without_batch_statistics()
    images = lesions(2).images
    unequal = LabelledImages(images[[0] * 9 + [1] * 3], np.array([0] * 9 + [1] * 3))
    equal = LabelledImages(images[[0] * 6 + [1] * 6], np.array([0] * 6 + [1] * 6))
    weights = start(settings)
    balanced = trainer(settings, plain(optimizer="sgd", batch_size=12, balance="weights"), unequal)
    simple = trainer(settings, plain(optimizer="sgd", batch_size=12), equal)
    np.testing.assert_allclose(
        balanced.train(weights, 1, {}).weights, simple.train(weights, 1, {}).weights, rtol=0, atol=1e-6
    )


def test_evaluation_counts_the_classifiers_own_predictions() -> None:
    settings, data = tiny(), lesions(70)
    weights = start(settings)
    classifier = build_classifier(settings)
    set_flat(classifier, weights)
    expected = keras.ops.convert_to_numpy(classifier(data.images.astype(np.float32)))
    evaluated = trainer(settings, plain(), data).evaluate(weights, 1)
    worked_out = ClinicEvaluation.from_predictions(data.labels, expected)
    np.testing.assert_array_equal(evaluated.confusion, worked_out.confusion)
    assert evaluated.loss == pytest.approx(worked_out.loss, rel=1e-5)
    np.testing.assert_allclose(predict(settings, weights, data), expected, rtol=0, atol=1e-6)


def test_no_images_have_no_predictions() -> None:
    empty = LabelledImages(np.empty((0, SIDE, SIDE, 3), np.uint8), np.empty(0, np.int64))
    assert apply_classifier(build_classifier(tiny()), empty).shape == (0, 3)


def test_metadata_is_trained_on_and_predicted_with() -> None:
    settings = tiny(metadata=True)
    images, labels = lesions(8).images, lesions(8).labels
    metadata = np.eye(10, dtype=np.float32)[labels]
    weights = start(settings)
    with_metadata = LabelledImages(images, labels, metadata)
    without_metadata = LabelledImages(images, labels, np.zeros_like(metadata))
    clinic = trainer(settings, plain(), with_metadata)
    trained = clinic.train(weights, 1, {}).weights
    assert not np.array_equal(
        trained, trainer(settings, plain(), without_metadata).train(weights, 1, {}).weights
    )
    assert (
        np.abs(predict(settings, trained, with_metadata) - predict(settings, trained, without_metadata)).max()
        > 1e-4
    )


def test_the_reported_loss_is_the_mean_over_the_images() -> None:
    """With steps too small to change a weight, it is the first model's own loss, an unfilled batch or not."""
    settings, data = without_batch_statistics(), lesions(7)
    weights = start(settings)
    update = trainer(settings, plain(optimizer="sgd", learning_rate=1e-20, epochs=2), data).train(
        weights, 1, {}
    )
    np.testing.assert_array_equal(update.weights, weights)
    own = predict(settings, weights, data)[np.arange(7), data.labels]
    assert update.metrics["loss"] == pytest.approx(float(-np.log(own).mean()), rel=1e-5)


def test_an_image_without_weight_teaches_nothing() -> None:
    settings, data = without_batch_statistics(), lesions(12)
    weights = np.arange(12) % 2
    other = data.images.copy()
    other[weights == 0] = 255 - other[weights == 0]
    first, second = (
        trainer(
            settings, plain(), LabelledImages(images, data.labels), weights=weights.astype(np.float32)
        ).train(start(settings), 1, {})
        for images in (data.images, other)
    )
    np.testing.assert_array_equal(first.weights, second.weights)
    without = trainer(settings, plain(), LabelledImages(other, data.labels)).train(start(settings), 1, {})
    assert not np.allclose(first.weights, without.weights)
