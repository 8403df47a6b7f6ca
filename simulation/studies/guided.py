"""Rows with a second view: the models of a trained row also predict on a part of each of their test images.

Every such row gets its own run folders, like those of a trained row, with the mean of both views'
probabilities: every analysis of runs can read them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.lesion_groups import draw
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.names import slug
from dermafed.shared.process import cores
from dermafed.shared.storage.atomic_files import make_folder, write_json
from dermafed.simulation.runs.arms import FEDERATED, PREDICTIONS_FILE, save_predictions
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.runs.results import Predictions, TestImages, arm_result
from dermafed.simulation.runs.run import Watcher
from dermafed.simulation.studies.study import Study, View
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun, saved_predictions, saved_tests

if TYPE_CHECKING:
    import keras

    from dermafed.shared.explain.explainer import Explainer
    from dermafed.shared.explain.maps import Image
    from dermafed.shared.explain.second_view import Window
    from dermafed.shared.model.model_info import ModelInfo
    from dermafed.shared.training.data import LabelledImages

SECOND_FILE = "second.npz"

ChooseWindow = Callable[["Image", int, LesionRecord], "Window"]
"""From the preprocessed image, its predicted class and its record to the window of the second view."""


@dataclass(frozen=True, slots=True)
class SecondViews:
    """The second views of one model, which is loaded once for all of them.

    Attributes:
        source: the model's run.
        views: the second views, by the run folder to write.
    """

    source: StudyRun
    views: dict[Path, View]


def with_views(study: Study, runs: Sequence[StudyRun], watcher: Watcher) -> list[StudyRun]:
    """Adds the runs of the rows with a second view; predicts those that are not done yet.

    Args:
        study: the study.
        runs: the finished runs of its trained rows.
        watcher: receives the progress.

    Returns:
        The runs of all rows, in the order of the study's file.

    Raises:
        SettingsError: a folder has a second view of another kind.
        DermaFedError: the method is not defined for a model.
    """
    viewed = [
        (run, run.folder.parents[1] / slug(row) / run.folder.name, row, view)
        for row, view in study.views.items()
        for run in runs
        if run.row == view.of
    ]
    waiting: dict[Path, SecondViews] = {}
    for run, out, _, view in viewed:
        if not _is_done(out, view):
            waiting.setdefault(run.folder, SecondViews(run, {})).views[out] = view
    if waiting:
        folders = [out for second in waiting.values() for out in second.views]
        progress = watcher.stage("Second views")
        for _ in run_in_processes(predict_second_views, waiting.values(), processes=cores()):
            progress(sum((out / RESULT_FILE).exists() for out in folders), len(folders))
    every = [*runs, *(StudyRun(row, run.settings, out) for run, out, row, _ in viewed)]
    return sorted(every, key=lambda run: study.order.index(run.row))


def _is_done(out: Path, view: View) -> bool:
    path = out / RESULT_FILE
    if not path.exists():
        return False
    if json.loads(path.read_text("utf-8")).get("view") != asdict(view):
        raise SettingsError(
            "This row of the study had another second view before",
            where=out,
            remedy="Choose another --out, or remove that folder",
        )
    return True


def predict_second_views(second_views: SecondViews) -> None:
    """Predicts a run's test images in the second views, and writes their folders; for a process of its own.

    Raises:
        ModelError: the model cannot be read, or the method is not defined for it.
        ImageError: an image can no longer be read.
    """
    from dermafed.shared.explain.explainer import Explainer
    from dermafed.shared.model.model_file import load_model
    from dermafed.shared.training.backend import configure_backend
    from dermafed.shared.training.data import load_labelled

    configure_backend(1)
    source = second_views.source
    model, info = load_model(source.folder / "model.keras")
    explainer = Explainer(model)
    tests, (first,) = saved_tests(source), saved_predictions(source)[FEDERATED]
    prepared = {name: load_labelled(tests.records[name], info.model, info.preprocess) for name in first}
    for out, view in second_views.views.items():
        window = _choose_window(view.look, explainer, source.settings.seed)
        second = {
            name: _predict_view(model, info, prepared[name], tests.records[name], own, window)
            for name, own in first.items()
        }
        both = {name: (own + second[name]) / np.float32(2) for name, own in first.items()}
        _write(source, out, view, tests, both, second)


def _choose_window(name: str, explainer: Explainer, seed: int) -> ChooseWindow:
    from dermafed.shared.explain.second_view import central_window, hottest_window, random_window

    if name == "centre":
        return lambda image, target, record: central_window()
    if name == "random":
        return lambda image, target, record: random_window(
            np.random.default_rng(draw(seed, "view", record.image_id))
        )
    explain = explainer.method(name)
    return lambda image, target, record: hottest_window(explain(image, target))


def _predict_view(
    model: keras.Model,
    info: ModelInfo,
    data: LabelledImages,
    records: Sequence[LesionRecord],
    first: NDArray[np.float32],
    window: ChooseWindow,
) -> NDArray[np.float32]:
    """The second view's probabilities, float32 (N, C), on a clinic's test images."""
    from dermafed.shared.explain.second_view import second_view
    from dermafed.shared.imaging.decoding import read_image
    from dermafed.shared.training.predict import apply_classifier

    images = zip(records, data.images, first.argmax(axis=1), strict=True)
    views = [
        second_view(read_image(record.path), window(image, int(target), record), info.preprocess)
        for record, image, target in images
    ]
    return apply_classifier(model, replace(data, images=np.stack(views)))


def _write(
    source: StudyRun, out: Path, view: View, tests: TestImages, both: Predictions, second: Predictions
) -> None:
    """Writes the folder, ``result.json`` last: with it, the second view is done."""
    arm = out / "arms" / FEDERATED
    make_folder(arm)
    shutil.copytree(source.folder / "sites", out / "sites", dirs_exist_ok=True)
    save_predictions(arm / SECOND_FILE, second.values())
    save_predictions(arm / PREDICTIONS_FILE, both.values())
    results = {"federated": arm_result(tests, both), "second_look": arm_result(tests, second)}
    nothing = dict.fromkeys(("local", "tuned", "pooled", "offsets", "explanations"))
    write_json(out / RESULT_FILE, {**source.result(), **nothing, **results, "view": asdict(view)})
