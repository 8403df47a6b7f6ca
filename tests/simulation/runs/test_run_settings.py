from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import Settings
from dermafed.simulation import cli
from dermafed.simulation.runs import default_settings
from dermafed.simulation.runs.options import check_same
from dermafed.simulation.runs.run_settings import (
    RunSettings,
    check_settings,
    load_settings,
    named_as_options,
    option_keys,
    save_settings,
)


def test_every_setting_is_an_option_with_its_default() -> None:
    options = inspect.signature(cli.simulate).parameters
    for name, key in option_keys().items():
        if issubclass(key.kind, Settings):  # a table, for plans and studies
            assert name not in options
            continue
        depends = not (key.key.synthetic is key.key.pretrained is None) or key.key.otherwise
        assert options[name].default == (None if depends else key.default), name
    assert not {"dropout", "clahe_grid"} & set(options), "they are for plans only"


def test_a_folder_named_synthetic_is_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[RunSettings] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fl-simulate", "--data", "synthetic"])
    monkeypatch.setattr(cli, "_run", lambda asked, *_: started.append(asked))
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert started[0].data == str(tmp_path / "synthetic")
    assert (started[0].weights, started[0].image_size) == ("imagenet", 192)


@pytest.mark.parametrize(
    ("asked", "installed", "weights"),
    [({}, True, "lite0"), ({}, False, "none"), ({"backbone": "EfficientNetB1"}, True, "none")],
)
def test_a_synthetic_run_starts_from_what_is_there(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], installed: bool, weights: str
) -> None:
    monkeypatch.setattr(default_settings, "find_spec", lambda _: object() if installed else None)
    assert RunSettings(**asked).weights == weights


@pytest.mark.parametrize(("weights", "blocks"), [("none", 0), ("lite0", 7), ("imagenet", 4), ("own.h5", 4)])
def test_early_blocks_of_trained_weights_are_frozen(weights: str, blocks: int) -> None:
    assert RunSettings(weights=weights).frozen_blocks == blocks


def test_defaults_depend_on_the_data() -> None:
    synthetic, real = RunSettings(), RunSettings(data="images")
    scratch = RunSettings(data="images", weights="none")
    for name, key in option_keys().items():
        if key.key.synthetic is not None:
            assert getattr(synthetic, name) == key.key.synthetic
        if key.key.pretrained is not None:
            assert (getattr(real, name), getattr(scratch, name)) == (key.key.pretrained, key.default)
    assert (synthetic.rounds, scratch.rounds, real.rounds) == (10, 32, 16)
    assert (synthetic.views, scratch.views, real.views) == (2, 0, 4)
    assert (synthetic.refit, scratch.refit, real.refit) == ("logistic", "none", "logistic")
    assert RunSettings(rounds=3).rounds == 3


@pytest.mark.parametrize("given", [{"weights": "none"}, {"batch_norm": "local"}, {"frozen_blocks": 0}])
def test_a_synthetic_run_whose_blocks_are_trained_has_smaller_images(given: dict[str, Any]) -> None:
    settings = RunSettings(**given)
    assert (settings.image_size, settings.learning_rate, settings.views) == (64, 1e-3, 0)
    assert (settings.features, settings.refit) == ("pooled", "none")


def test_the_exact_head_of_a_synthetic_run_is_not_trained_anew() -> None:
    settings = RunSettings(strategy="exact-head", rounds=1)
    assert (settings.refit, settings.frozen_blocks, settings.batch_norm) == ("none", 7, "frozen")


def test_one_changed_setting_leaves_the_others(tmp_path: Path) -> None:
    settings = RunSettings(image_size=64)
    assert replace(settings, image_size=32).preprocess().clahe_grid == 4
    assert (replace(settings, data=str(tmp_path)).rounds, settings.with_seed(7).split_seed) == (10, 7)
    assert RunSettings(split_seed=3).with_seed(7).split_seed == 3


def test_settings_survive_their_file(tmp_path: Path) -> None:
    settings = RunSettings(train_images="20", epochs=2, weights="own.h5").with_seed(1)
    save_settings(tmp_path, settings, threads=2)
    assert load_settings(tmp_path) == (settings, 2)
    written = json.loads((tmp_path / "settings.json").read_text())
    assert set(written) == VERSION_0_1_0


def test_what_came_later_is_written_where_it_was_chosen(tmp_path: Path) -> None:
    settings = RunSettings(ridge=0.3, features="blocks", weights="none")
    save_settings(tmp_path, settings, threads=2)
    assert load_settings(tmp_path) == (settings.with_seed(0), 2)
    written = json.loads((tmp_path / "settings.json").read_text())
    assert set(written) == VERSION_0_1_0 | {"ridge", "features"}
    with pytest.raises(SettingsError, match=r"started with ridge = 0\.3, not 0\.1"):
        check_same(settings, {"ridge": 0.1}, tmp_path)


def test_a_cluster_is_written_where_there_is_one(tmp_path: Path) -> None:
    save_settings(tmp_path, RunSettings(engine="ray", address="10.0.0.5:6379", weights="none"), threads=2)
    assert load_settings(tmp_path)[0].address == "10.0.0.5:6379"
    with pytest.raises(SettingsError, match="has no address") as error, named_as_options():
        RunSettings(address="auto")
    assert error.value.where == "--address"


def test_a_run_of_an_older_version_keeps_what_its_settings_do_not_name(tmp_path: Path) -> None:
    settings = RunSettings(data="images", features="pooled", views=0, refit="none", own_layer=False)
    settings = settings.with_seed(0)
    save_settings(tmp_path, settings, threads=1)
    written = json.loads((tmp_path / "settings.json").read_text())
    assert not {"features", "views", "refit", "own_layer"} & set(written)
    assert load_settings(tmp_path) == (settings, 1)


@pytest.mark.parametrize(
    ("asked", "excluded"),
    [
        ({"frozen_blocks": 0}, {"views": 0}),
        ({"strategy": "exact-head", "rounds": 1}, {"refit": "none", "own_layer": True}),
        ({"batch_norm": "local"}, {"own_layer": False}),
    ],
)
def test_a_default_that_another_setting_excludes_is_left_out(
    asked: dict[str, Any], excluded: dict[str, Any]
) -> None:
    settings = RunSettings(data="images", **asked)
    check_settings(settings)
    assert {name: getattr(settings, name) for name in excluded} == excluded


def test_views_without_frozen_blocks_are_refused_before_any_work() -> None:
    with pytest.raises(SettingsError, match="no block is frozen") as caught:
        check_settings(RunSettings(weights="none", views=4))
    assert caught.value.where == "--views"


def test_a_malformed_number_of_images_is_refused_by_its_option() -> None:
    with pytest.raises(SettingsError, match="--train-images"):
        check_settings(RunSettings(train_images="many", weights="none"))


@pytest.mark.parametrize("passes", [-1, float("nan"), float("inf"), "2", True])
def test_impossible_passes_are_refused_before_any_work(passes: float) -> None:
    with pytest.raises(SettingsError, match="tune"):
        RunSettings(tune=passes, weights="none")


def test_tuning_is_refused_with_fedbn() -> None:
    with pytest.raises(SettingsError, match="tune does not go with"):
        RunSettings(tune=1, batch_norm="local", weights="none")


VERSION_0_1_0 = {
    "data",
    "clinics",
    "classes",
    "rounds",
    "epochs",
    "steps",
    "strategy",
    "backbone",
    "weights",
    "image_size",
    "engine",
    "baselines",
    "seed",
    "split_seed",
    "denoise",
    "clahe",
    "fit",
    "batch_norm",
    "frozen_blocks",
    "batch_size",
    "optimizer",
    "momentum",
    "learning_rate",
    "schedule",
    "balance",
    "focus",
    "tones",
    "group_balance",
    "tune",
    "metadata",
    "split",
    "only",
    "train_images",
    "skip_bad",
    "image",
    "label",
    "explain",
    "threads",
}
