from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.node.clinic_trainer import build_clinic_trainer, clinic_seed
from dermafed.client.node.own_model import own_model
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.refit_round import not_worse, refitted
from dermafed.server.rounds.run_explanations import load_explanations
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.clinic_split import read_clinic_split, write_clinic_split
from dermafed.shared.lesions.record import Splits
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings
from dermafed.shared.training.data import load_labelled
from dermafed.simulation.runs.arms import (
    Arm,
    first_curve_soon,
    load_backdoor,
    load_tuned_predictions,
    make_arms,
)
from dermafed.simulation.runs.attack_settings import Attack
from dermafed.simulation.runs.predict_arm import _predictions, predict_tuned, tune
from dermafed.simulation.runs.train_arm import _first_model, _rules, _train, train_and_test
from tests.client.node.test_clinic_trainer import PLAN, _tiny, clinic_folder, records
from tests.shared.training.tiny import plain, start, tiny, trainer

__all__ = ["_tiny", "clinic_folder"]


def test_a_tuned_model_is_a_training_of_its_own_from_the_federations_weights(clinic_folder: Path) -> None:
    plan = replace(PLAN, rounds=7, recipe=plain(steps=50))
    weights = start(plan.model)
    clinic = read_clinic_split(clinic_folder)
    data = load_labelled(clinic.splits.train, plan.model, plan.preprocess)
    alone = trainer(plan.model, plain(epochs=2), data, seed=clinic_seed(clinic, plan.seed))
    expected = alone.train(weights, 1, {}).weights
    assert not np.array_equal(expected, weights)
    np.testing.assert_array_equal(tune(clinic_folder, plan, clinic_folder / "state", weights, 2), expected)


def test_features_of_test_images_are_saved_and_give_the_same_predictions(
    clinic_folder: Path, tmp_path: Path
) -> None:
    plain_plan = replace(PLAN, model=tiny(frozen_blocks=2))
    plan = replace(plain_plan, recipe=plain(augment=True, views=2))
    weights = start(plan.model)
    expected = _predictions(plain_plan, clinic_folder, weights)
    assert not (tmp_path / "cache" / "features").exists()
    for _ in range(2):
        found = _predictions(plan, clinic_folder, weights)
        np.testing.assert_allclose(found.test, expected.test, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.validation, expected.validation, rtol=0, atol=1e-6)
        assert len(list((tmp_path / "cache" / "features").iterdir())) == 2


def test_a_tuned_model_trains_on_the_views_of_the_run(clinic_folder: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, model=tiny(frozen_blocks=2), recipe=plain(augment=True, views=2))
    weights = start(plan.model)
    build_clinic_trainer(clinic_folder, plan, clinic_folder / "state").train(weights, 1, {})
    features = sorted((tmp_path / "cache" / "features").iterdir())
    tune(clinic_folder, plan, clinic_folder / "state", weights, 2)
    assert sorted((tmp_path / "cache" / "features").iterdir()) == features


def test_the_last_layer_is_trained_anew_after_an_arms_last_round(tmp_path: Path) -> None:
    """One round more in its history; an arm that has it is done."""
    images = records(tmp_path, 24)
    write_clinic_split(tmp_path / "Graz", Splits(images[:18], images[18:23], images[23:]))
    recipe = plain(head_images=18)
    plan = replace(PLAN, recipe=recipe, rounds=1, class_counts=(6, 6, 6))
    clinics = (tmp_path / "Graz",)
    arm = Arm(
        "federated", tmp_path / "arm", clinics, clinics, plan, "fedavg", "local", "none", refit="logistic"
    )
    arm.folder.mkdir()
    _train(arm)
    state = load_state(arm.folder)
    assert (state.round, len(state.history), refitted(state)) == (2, 2, True)
    before = load_state(arm.folder, 1).weights
    layer = (8 + 1) * 3
    assert (state.weights[:-layer] == before[:-layer]).all()
    kept = not_worse(state.history[1], state.history[0])
    assert (state.weights[-layer:] != before[-layer:]).any() == kept
    _train(arm)
    assert load_state(arm.folder).round == 2


def test_each_clinics_own_last_layer_is_fitted_to_its_images_and_calibrated_together(tmp_path: Path) -> None:
    """In a folder of its own beside the arm's, as a tuned model's."""
    images = records(tmp_path, 24)
    write_clinic_split(tmp_path / "Graz", Splits(images[:9], images[9:11], images[11:12]))
    write_clinic_split(tmp_path / "Linz", Splits(images[12:20], images[20:22], images[22:]))
    plan = replace(PLAN, class_counts=(6, 6, 5))
    clinics = (tmp_path / "Graz", tmp_path / "Linz")
    arm = Arm(
        "federated",
        tmp_path / "arms" / "federated",
        clinics,
        clinics,
        plan,
        "fedavg",
        "local",
        "none",
        own_layer=True,
    )
    arm.folder.mkdir(parents=True)
    weights = start(plan.model)
    predict_tuned(arm, weights)
    found = load_tuned_predictions(arm)["tuned"]
    for clinic in clinics:
        own = own_model(clinic, plan, weights)
        expected = _predictions(plan, clinic, own).test
        np.testing.assert_array_equal(found[clinic.name], expected)
        assert not np.array_equal(expected, _predictions(plan, clinic, weights).test)


def test_clinics_measure_explanations_of_an_arms_last_model(tmp_path: Path) -> None:
    images = records(tmp_path, 24)
    write_clinic_split(tmp_path / "Graz", Splits(images[:6], images[6:11], images[11:12]))
    write_clinic_split(tmp_path / "Linz", Splits(images[12:17], images[17:23], images[23:]))
    clinics = (tmp_path / "Graz", tmp_path / "Linz")
    plan = replace(PLAN, rounds=1, class_counts=(4, 4, 3))
    arm = Arm("federated", tmp_path / "arm", clinics, clinics, plan, "fedavg", "local", "none", explain=True)
    arm.folder.mkdir()
    _train(arm)
    found = load_explanations(arm.folder)
    assert (found["round"], found["left_out"], found["all"]["images"]) == (1, {}, 11)
    assert {name: own["images"] for name, own in found["clinics"].items()} == {"Graz": 5, "Linz": 6}
    for name in ("deletion", "insertion", "drop", "stability_shift"):
        graz, linz = (found["clinics"][clinic]["measures"][name]["mean"] for clinic in ("Graz", "Linz"))
        assert found["all"]["measures"][name]["mean"] == pytest.approx((5 * graz + 6 * linz) / 11)


def test_an_arm_by_secure_sums_is_the_arm_in_clear(tmp_path: Path) -> None:
    images = records(tmp_path, 24)
    names = ("Graz", "Linz 1", "Vienna", "Wels")
    for at, name in enumerate(names):
        own = images[6 * at : 6 * at + 6]
        write_clinic_split(tmp_path / name, Splits(own[: 3 + at % 2], own[4:5], own[5:]))
    plan = replace(PLAN, recipe=plain(balance="none"), rounds=1, class_counts=(5, 5, 4))
    clinics = tuple(tmp_path / name for name in names)
    arm = Arm("federated", tmp_path / "clear", clinics, clinics, plan, "fedavg", "local", "none")
    secure = replace(arm, folder=tmp_path / "secure", privacy=PrivacySettings(aggregation="secure"))
    for each in (arm, secure):
        each.folder.mkdir()
        _train(each)
    clear, summed = (load_state(each.folder) for each in (arm, secure))
    assert np.abs(clear.weights - summed.weights).max() <= 1e-6
    ours, theirs = summed.history[0], clear.history[0]
    assert ours.validation_balanced_accuracy == theirs.validation_balanced_accuracy
    assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)
    assert [arm.privacy.is_secure for arm in make_arms(secure, tmp_path / "pooled")] == [True] + [False] * 5


def test_an_arm_by_secure_sums_and_a_rule_has_a_median_of_its_groups(tmp_path: Path) -> None:
    """It lies, at each weight, between the models that the clinics train."""
    images = records(tmp_path, 24)
    for at in range(9):
        own = images[2 * at : 2 * at + 4]
        write_clinic_split(tmp_path / f"c{at}", Splits(own[:2], own[2:3], own[3:]))
    plan = replace(PLAN, recipe=plain(balance="none"), rounds=1, class_counts=(6, 6, 6))
    clinics = tuple(tmp_path / f"c{at}" for at in range(9))
    arm = Arm(
        *("federated", tmp_path / "arm", clinics, clinics, plan, "fedavg", "local", "none"),
        privacy=PrivacySettings(aggregation="secure", colluders=0),
        robust=RobustSettings(rule="median"),
    )
    arm.folder.mkdir()
    _train(arm)
    before, after = (load_state(arm.folder, number) for number in (0, 1))
    assert (after.history[0].replied, after.history[0].left_out) == (9, "")
    models = [
        build_clinic_trainer(clinic, plan, arm.state_folder(clinic)).train(before.weights, 1, {}).weights
        for clinic in clinics
    ]
    assert (after.weights >= np.min(models, axis=0) - 1e-5).all()
    assert (after.weights <= np.max(models, axis=0) + 1e-5).all()
    assert (after.weights != before.weights).any()
    with pytest.raises(SettingsError, match="needs 3 sums over groups"):
        _train(replace(arm, folder=tmp_path / "few", members=clinics[:8]))


def test_a_class_of_one_clinic_is_learnt_from_that_clinic_alone(tmp_path: Path) -> None:
    """Weights that Graz, which lacks the class, sends of its column are in no mean; alone, it trains them."""
    images = records(tmp_path, 24)
    common = tuple(record for record in images[:12] if record.label != "seborrheic_keratosis")
    write_clinic_split(tmp_path / "Graz", Splits(common, images[12:13], images[13:14]))
    write_clinic_split(tmp_path / "Linz 1", Splits(images[12:21], images[21:22], images[22:]))
    recipe = plain(mask_absent=True)
    plan = replace(PLAN, recipe=recipe, rounds=1, class_counts=(7, 7, 3))
    clinics = (tmp_path / "Graz", tmp_path / "Linz 1")
    federated = Arm(
        "federated", tmp_path / "arms" / "federated", clinics, clinics, plan, "fedavg", "local", "none"
    )
    federated.folder.mkdir(parents=True)
    start = to_flat(_first_model(federated))
    _train(federated)
    trained = [
        build_clinic_trainer(clinic, plan, federated.state_folder(clinic)).train(start, 1, {})
        for clinic in clinics
    ]
    mean = np.average([one.weights for one in trained], axis=0, weights=[one.weight for one in trained])
    last, graz, linz, plainly = (
        weights[-(8 + 1) * 3 :].reshape(9, 3)
        for weights in (load_state(federated.folder).weights, *(one.weights for one in trained), mean)
    )
    np.testing.assert_array_equal(last[:, 2], linz[:, 2])
    assert not np.array_equal(graz[:, 2], linz[:, 2])
    np.testing.assert_allclose(last[:, :2], plainly[:, :2], rtol=1e-6)
    baselines = make_arms(federated, tmp_path / "pooled")[1:]
    assert [arm.plan.recipe.mask_absent for arm in baselines] == [False] * 3
    assert all(replace(arm.plan, recipe=recipe) == plan for arm in baselines)


def test_the_clinic_with_the_fewest_images_starts_first(tmp_path: Path) -> None:
    images, clinics = records(tmp_path, 12), tuple(tmp_path / name for name in ("Graz", "Linz", "Wien"))
    for clinic, count in zip(clinics, (5, 3, 4), strict=True):
        write_clinic_split(clinic, Splits(images[:count], images[-2:-1], images[-1:]))
    federated = Arm("federated", tmp_path / "arm", clinics, clinics, PLAN, "fedavg", "local", "none")
    arms = make_arms(federated, tmp_path / "pooled")
    names = ["local:Linz", "federated", "pooled", "local:Graz", "local:Wien"]
    assert [arm.name for arm in first_curve_soon(arms)] == names
    assert first_curve_soon([federated]) == [federated]


def test_a_sum_that_does_not_fit_into_its_bits_is_asked_for_again(tmp_path: Path) -> None:
    """In full then; a run without bits stops at once, since a clinic of this program fails for good."""
    clinics = (tmp_path / "Graz", tmp_path / "Linz")
    arm = Arm("federated", tmp_path, clinics, clinics, PLAN, "fedavg", "local", "none")
    assert (_rules(arm).attempts, _rules(replace(arm, bits=8)).attempts) == (1, 3)


def test_a_rule_bears_a_hostile_clinic_of_an_arm_and_its_patch_is_measured(tmp_path: Path) -> None:
    """The median of three, of which one sends ten times the step; without the rule it decides."""
    images = records(tmp_path, 24)
    names = ("Graz", "Linz", "Wels")
    for number, name in enumerate(names):
        own = images[8 * number : 8 * number + 8]
        write_clinic_split(tmp_path / name, Splits(own[:5], own[5:7], own[7:]))
    plan = replace(PLAN, rounds=1, class_counts=(5, 5, 5))
    clinics = tuple(tmp_path / name for name in names)
    moved = {}
    for rule in (NO_RULE, RobustSettings(rule="median")):
        arm = Arm(
            *("federated", tmp_path / rule.rule, clinics, clinics, plan, "fedavg", "local", "none"),
            robust=rule,
            attack=Attack("backdoor", "Linz"),
        )
        arm.folder.mkdir()
        train_and_test(arm)
        before, after = (load_state(arm.folder, number).weights for number in (0, 1))
        moved[rule.rule] = float(np.linalg.norm(after - before))
        found = load_backdoor(arm)
        assert found["target"] == plan.model.classes[0]
        assert found["images"] == sum(record.label != found["target"] for record in images[7::8])
        assert 0 <= found["patched"] <= found["images"]
    assert moved["none"] > 1.2 * moved["median"] > 0
