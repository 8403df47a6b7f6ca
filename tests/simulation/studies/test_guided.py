"""Second views of a finished run's test images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.second_view import hottest_window
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.simulation.runs.arms import PREDICTIONS_FILE
from dermafed.simulation.runs.run import Watcher
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.guided import SECOND_FILE, SecondViews, predict_second_views, with_views
from dermafed.simulation.studies.study import Study, View
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun
from tests.commands.small_datasets import SIDE
from tests.shared.training.tiny import tiny_backbones
from tests.simulation.studies.with_model import ARM, finished_run


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return finished_run(tmp_path)


def second_view_of(run: Path, method: str, name: str = "again") -> Path:
    out = run.parents[1] / name / "seed-0"
    predict_second_views(SecondViews(StudyRun("plain", RunSettings(), run), {out: View("plain", method)}))
    return out


def predictions(path: Path) -> Any:
    with np.load(path) as file:
        return np.stack([file["0"], file["1"]])


def keras_predictions(run: Path, parts: list[np.ndarray]) -> np.ndarray:
    """Keras' own predictions on parts of the photographs, (2, N, 3)."""
    model = keras.models.load_model(run / "model.keras", compile=False)
    views = [cv2.resize(part, (32, 32), interpolation=cv2.INTER_CUBIC) for part in parts]
    return keras.ops.convert_to_numpy(model(np.stack(views).astype(np.float32))).reshape(2, -1, 3)


def photographs(run: Path) -> list[np.ndarray]:
    clinics = [read_clinic_split(run / "sites" / "clinics" / f"clinic {number}") for number in range(2)]
    return [read_image(record.path) for clinic in clinics for record in clinic.splits.test]


def test_the_prediction_is_the_mean_of_both_views(run: Path) -> None:
    out = second_view_of(run, "centre")
    edge = SIDE // 8  # three quarters of the side remain
    parts = [photograph[edge:-edge, edge:-edge] for photograph in photographs(run)]
    expected = keras_predictions(run, parts)
    first, second = predictions(run / ARM / PREDICTIONS_FILE), predictions(out / ARM / SECOND_FILE)
    np.testing.assert_allclose(second, expected, atol=1e-5)
    both = predictions(out / ARM / PREDICTIONS_FILE)
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-6)

    result = json.loads((out / RESULT_FILE).read_text("utf-8"))
    right = (both.argmax(axis=2) == np.arange(3)).mean()
    assert result["federated"]["accuracy"] == pytest.approx(right)
    assert result["second_look"]["accuracy"] == pytest.approx((second.argmax(axis=2) == np.arange(3)).mean())
    assert result["view"] == {"of": "plain", "look": "centre"}
    assert result["pooled"] is None, "the other arms have no second view"


@pytest.mark.parametrize("method", ["cam", "scorecam"])
def test_the_guided_view_is_where_the_map_of_the_predicted_class_is_hottest(run: Path, method: str) -> None:
    second = predictions(second_view_of(run, method) / ARM / SECOND_FILE)
    model = keras.models.load_model(run / "model.keras", compile=False)
    explain = Explainer(model).method(method)
    parts = []
    for number, photograph in enumerate(photographs(run)):
        small = cv2.resize(photograph, (32, 32), interpolation=cv2.INTER_AREA)
        parts.append(hottest_window(explain(small, number % 3)).cut(photograph))
    np.testing.assert_allclose(second, keras_predictions(run, parts), atol=1e-5)


def test_the_random_view_is_reproducible(run: Path) -> None:
    first, again = (predictions(second_view_of(run, "random", name) / ARM / SECOND_FILE) for name in "ab")
    assert np.array_equal(first, again)
    assert not np.allclose(first, predictions(second_view_of(run, "centre") / ARM / SECOND_FILE), atol=1e-4)


def test_finished_predictions_are_reused_for_the_same_view_only(run: Path) -> None:
    second_view_of(run, "centre", "Looks-twice")
    trained = StudyRun("plain", RunSettings(), run)
    order = ("Looks twice", "plain")
    study = Study("s", "", (0,), {"plain": RunSettings()}, (), {order[0]: View("plain", "centre")}, order)
    runs = with_views(study, [trained], Watcher())
    assert [run.row for run in runs] == list(order)
    assert runs[0].result()["view"]["look"] == "centre"

    study.views[order[0]] = View("plain", "random")
    with pytest.raises(SettingsError, match="another second view"):
        with_views(study, [trained], Watcher())
