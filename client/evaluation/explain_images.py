"""Explain a saved model's predictions of images: overlays, maps, and a line for each image."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.client.evaluation.evaluate import Stage
from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.explainer import Explainer, Explanation
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.explain.overlay import overlay_png
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.lesions.diagnoses import normalise
from dermafed.shared.lesions.readers.image_files import named_images
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

LINES = "explanations.jsonl"


@dataclass(frozen=True, slots=True)
class Question:
    """What to explain: by which method, and which class rather than which; by default the predicted one.

    The method is by default the model's own.
    """

    method: str | None = None
    exact: bool = False
    target: str | None = None
    against: str | None = None


def explain(
    paths: Sequence[Path], model: Path, question: Question, out: Path, stage: Stage
) -> list[dict[str, Any]]:
    """Explains images one by one; writes each one's overlay, map and line before it goes on.

    Args:
        paths: image files, and folders of them.
        model: the ``.keras`` file; its card lies beside it.
        question: what to explain.
        out: a new or empty folder.
        stage: called with the name of a stage; returns its progress callback (images done, images).

    Returns:
        The content of ``explanations.jsonl``, a line for each image.

    Raises:
        DatasetError: a folder has no image.
        ImageError: an image cannot be read; nothing has been written then.
        ModelError: the model cannot be used, or the method is not defined for it.
        SettingsError: there is no such method or class.
        StorageError: a file cannot be written.
    """
    method = _method(question)
    images = named_images(paths)
    classifier, card = load_model(model)
    target, against = _classes(question, card)
    explainer = Explainer(classifier)
    pixels = PreprocessCache(default_cache_folder()).load(
        images, card.preprocess, progress=stage("Preprocessing images")
    )
    lines = []
    progress = stage("Explaining images")
    for done, (path, name) in enumerate(zip(images, _names(images), strict=True), 1):
        image = pixels.images[done - 1]
        explanation = explainer.explain(image, method=method, target=target, against=against)
        make_folder(out)
        picture, heatmap = out / f"{name}.png", out / f"{name}.npy"
        write_atomically(picture, overlay_png(image, explanation, card.model.classes))
        write_atomically(heatmap, _npy(explanation.heatmap))
        line = _line(path, explanation, card.model.classes, picture, heatmap)
        with (out / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")
        lines.append(line)
        progress(done, len(images))
    return lines


def describe(line: Mapping[str, Any]) -> str:
    """A line of ``explanations.jsonl`` for the reader."""
    prediction = line["prediction"]
    remarks = [f"{line['image']}: {prediction}, probability {line['probabilities'][prediction]:.2f}"]
    if line["constant"]:
        remarks.append("the map is zero everywhere: it shows nothing that moved the score")
    elif line["depends_on_class"] is False:
        remarks.append("this map does not depend on the class")
    elif line["class"] != prediction:
        remarks.append(f"the map is of {line['class']}")
    return "; ".join(remarks)


def _method(question: Question) -> str | None:
    """The method asked for; ``None`` for the model's own."""
    score_cam = question.method in (None, "scorecam")
    name = "scorecam-exact" if question.exact and score_cam else question.method
    if name is not None and name not in METHODS:
        raise SettingsError(
            f"There is no method '{name}'",
            where=f"--method {name}",
            remedy=f"The methods are {', '.join(METHODS)}",
        )
    if question.exact and name != "scorecam-exact":
        raise SettingsError(
            f"--exact belongs to Score-CAM; {name} has no faster form", remedy="Leave out --exact or --method"
        )
    return name


def _classes(question: Question, card: ModelInfo) -> tuple[int | None, int | None]:
    target, against = (_class_index(name, card) for name in (question.target, question.against))
    if against is not None and target in (None, against):
        raise SettingsError(
            "--against needs a --class, another one",
            where=f"--against {question.against}",
            remedy=f"The model's classes are {', '.join(card.model.classes)}",
        )
    return target, against


def _class_index(name: str | None, card: ModelInfo) -> int | None:
    if name is None:
        return None
    classes = [normalise(known) for known in card.model.classes]
    if normalise(name) not in classes:
        raise SettingsError(
            f"The model has no class '{name}'",
            remedy=f"Its classes are {', '.join(card.model.classes)}",
        )
    return classes.index(normalise(name))


def _names(paths: Sequence[Path]) -> list[str]:
    """Each image's name without suffix; a later one of the same name, whatever its case, gets a number."""
    names: dict[str, str] = {}
    for path in paths:
        numbered = (f"{path.stem}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([path.stem], numbered) if name.casefold() not in names)
        names[name.casefold()] = name
    return list(names.values())


def _line(
    path: Path, explanation: Explanation, classes: Sequence[str], overlay: Path, heatmap: Path
) -> dict[str, Any]:
    target = explanation.target
    probabilities = (float(value) for value in explanation.probabilities)
    return {
        "image": str(path),
        "prediction": classes[explanation.predicted],
        "probabilities": dict(zip(classes, probabilities, strict=True)),
        "class": classes[target.index],
        "against": None if target.against is None else classes[target.against],
        "method": explanation.method,
        "signed": explanation.signed,
        "agreement": explanation.agreement,
        "passes": explanation.passes,
        "constant": explanation.constant,
        "depends_on_class": explanation.depends_on_class,
        "class_correlation": explanation.class_correlation,
        "seconds": round(explanation.seconds, 3),
        "overlay": str(overlay.resolve()),
        "map": str(heatmap.resolve()),
    }


def _npy(heatmap: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    file = io.BytesIO()
    np.save(file, heatmap, allow_pickle=False)
    return file.getvalue()
