"""Rows that look twice: the models of a trained row look at their test images, then again at a part of each.

Every such row gets run folders of its own, like those of a row that was trained, with the mean of both looks'
probabilities: whatever judges runs judges it too.
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

Look = Callable[["Image", int, LesionRecord], "Window"]
"""The preprocessed image, the class it was taken for and its record, to where to look again."""


@dataclass(frozen=True, slots=True)
class SecondViews:
    """The second looks of one model, which is opened once for all of them.

    Attributes:
        source: the run of that model.
        views: what is asked for, by the folder to write.
    """

    source: StudyRun
    views: dict[Path, View]


def with_views(study: Study, runs: Sequence[StudyRun], watcher: Watcher) -> list[StudyRun]:
    """Looks twice where that is not done yet.

    Args:
        study: says which rows look twice.
        runs: of the trained rows, finished.
        watcher: told of the progress.

    Returns:
        The runs of all rows, in the order of the study's file.

    Raises:
        SettingsError: a folder holds a second look of another kind.
        DermaFedError: a model cannot be explained so.
    """
    asked = [
        (run, run.folder.parents[1] / slug(row) / run.folder.name, row, view)
        for row, view in study.views.items()
        for run in runs
        if run.row == view.of
    ]
    waiting: dict[Path, SecondViews] = {}
    for run, out, _, view in asked:
        if not _is_done(out, view):
            waiting.setdefault(run.folder, SecondViews(run, {})).views[out] = view
    if waiting:
        awaited = [out for looks in waiting.values() for out in looks.views]
        told = watcher.stage("Second looks")
        for _ in run_in_processes(predict_second_views, waiting.values(), processes=cores()):
            told(sum((out / RESULT_FILE).exists() for out in awaited), len(awaited))
    every = [*runs, *(StudyRun(row, run.settings, out) for run, out, row, _ in asked)]
    return sorted(every, key=lambda run: study.order.index(run.row))


def _is_done(out: Path, view: View) -> bool:
    path = out / RESULT_FILE
    if not path.exists():
        return False
    if json.loads(path.read_text("utf-8")).get("view") != asdict(view):
        raise SettingsError(
            "This row of the study looked elsewhere before",
            where=out,
            remedy="Choose another --out, or remove that folder",
        )
    return True


def predict_second_views(looks: SecondViews) -> None:
    """Predicts a run's test images once more, and writes the second looks' folders; for a process of its own.

    Raises:
        ModelError: the model cannot be read, or not be explained so.
        ImageError: an image cannot be read any more.
    """
    from dermafed.shared.explain.explainer import Explainer
    from dermafed.shared.model.model_file import load_model
    from dermafed.shared.training.backend import configure_backend
    from dermafed.shared.training.data import load_labelled

    configure_backend(1)
    source = looks.source
    model, card = load_model(source.folder / "model.keras")
    explainer = Explainer(model)
    tests, (first,) = saved_tests(source), saved_predictions(source)[FEDERATED]
    prepared = {site: load_labelled(tests.records[site], card.model, card.preprocess) for site in first}
    for out, view in looks.views.items():
        where = _way(view.look, explainer, source.settings.seed)
        second = {
            site: _second(model, card, prepared[site], tests.records[site], own, where)
            for site, own in first.items()
        }
        both = {site: (own + second[site]) / np.float32(2) for site, own in first.items()}
        _write(source, out, view, tests, both, second)


def _way(name: str, explainer: Explainer, seed: int) -> Look:
    from dermafed.shared.explain.second_view import central_window, hottest_window, random_window

    if name == "centre":
        return lambda image, target, record: central_window()
    if name == "random":
        return lambda image, target, record: random_window(
            np.random.default_rng(draw(seed, "view", record.image_id))
        )
    explain = explainer.method(name)
    return lambda image, target, record: hottest_window(explain(image, target))


def _second(
    model: keras.Model,
    card: ModelInfo,
    data: LabelledImages,
    records: Sequence[LesionRecord],
    first: NDArray[np.float32],
    where: Look,
) -> NDArray[np.float32]:
    """The second look's probabilities, float32 (N, C), on a clinic's test images."""
    from dermafed.shared.explain.second_view import second_view
    from dermafed.shared.imaging.decoding import read_image
    from dermafed.shared.training.predict import apply_classifier

    seen = zip(records, data.images, first.argmax(axis=1), strict=True)
    views = [
        second_view(read_image(record.path), where(image, int(target), record), card.preprocess)
        for record, image, target in seen
    ]
    return apply_classifier(model, replace(data, images=np.stack(views)))


def _write(
    source: StudyRun, out: Path, view: View, tests: TestImages, both: Predictions, second: Predictions
) -> None:
    """Writes the folder, ``result.json`` last: with it, the second look is done."""
    arm = out / "arms" / FEDERATED
    make_folder(arm)
    shutil.copytree(source.folder / "sites", out / "sites", dirs_exist_ok=True)
    save_predictions(arm / SECOND_FILE, second.values())
    save_predictions(arm / PREDICTIONS_FILE, both.values())
    figures = {"federated": arm_result(tests, both), "second_look": arm_result(tests, second)}
    nothing = dict.fromkeys(("local", "tuned", "pooled", "explanations"))
    write_json(out / RESULT_FILE, {**source.result(), **nothing, **figures, "view": asdict(view)})
