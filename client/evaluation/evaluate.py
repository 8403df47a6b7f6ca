"""Evaluate a saved model on a labelled data set, as a clinic does before it joins."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.evaluation.evaluate_alert import EvaluatedAlert, evaluate_alert
from dermafed.shared.errors import DatasetError, DermaFedError, ModelError, SettingsError
from dermafed.shared.imaging.cache import CachedImages, PreprocessCache, default_cache_folder
from dermafed.shared.lesions.class_map import ClassMap, class_map_for, parse_class_map
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.metrics.challenge_csv import write_challenge_files
from dermafed.shared.metrics.classification import ClassificationMetrics, classification_report
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.storage.atomic_files import write_atomically, write_json
from dermafed.shared.training.data import LabelledImages, label_images
from dermafed.shared.training.predict import apply_classifier

CHUNK = 256  # images between two reports of progress

Progress = Callable[[int, int], None]
Stage = Callable[[str], Progress]

UNKNOWN_TRAINING = "A model looks better than it is on images that it was trained on: evaluate it on others"
FEDBN = "In its federation each clinic had its own batch normalisation; this model has their mean instead"

PREDICTIONS_FILE, METRICS_FILE = "predictions.csv", "metrics.json"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A model's evaluation on a data set.

    Attributes:
        model: the model file.
        card: of the model.
        data: the data set.
        records: the N images evaluated, labelled with the model's classes.
        probabilities: float32 (N, C).
        metrics: of the predictions.
        excluded: number of images of each diagnosis that the model does not know.
        unreadable: the image files that were skipped, each with the reason.
        notes: what else a reader of the metrics must know.
        alert: the alert for melanoma; ``None`` where the data set has no melanoma, or nothing else.
    """

    model: Path
    card: ModelInfo
    data: Path
    records: tuple[LesionRecord, ...]
    probabilities: NDArray[np.float32]
    metrics: ClassificationMetrics
    excluded: dict[str, int]
    unreadable: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]
    alert: EvaluatedAlert | None = None


def evaluate(
    data: Path,
    model: Path,
    *,
    classes: str | None,
    skip_bad: bool,
    stage: Stage,
    columns: ColumnNames | None = None,
) -> Evaluation:
    """Evaluate a model on labelled images; writes only to the preprocessing cache.

    Args:
        data: a folder or manifest.
        model: the ``.keras`` file; its card lies beside it.
        classes: how labels map to the model's classes; ``None``: as when it was trained, else by diagnosis.
        skip_bad: leave unreadable images and incomplete labels out instead of raising.
        stage: called with the name of a stage; returns its progress callback (images done, images).
        columns: columns of the manifest that go by other names than the accepted ones.

    Raises:
        DatasetError: the data cannot be used.
        ImageError: an image cannot be read.
        ModelError: the model cannot be used.
        SettingsError: ``classes`` is malformed or names other classes than the model's.
    """
    dataset = load_dataset(data, skip_bad=skip_bad, columns=columns)
    classifier, card = load_model(model)
    class_map = model_class_map(dataset.records, card, classes)
    mapped, excluded = class_map.apply(dataset.records)
    cached = _preprocessed(mapped, card, skip_bad, stage("Preprocessing images"))
    records = tuple(mapped[index] for index in cached.positions)
    images = label_images(records, cached.images, card.model)
    probabilities = predict_finite(
        classifier, images, model, stage("Evaluating images"), card.model.views_at_test
    )
    known = card.model.classes
    groups, lesions = [record.group for record in records], [record.lesion for record in records]
    calibration = load_calibration(model, weights_digest(to_flat(classifier)))
    return Evaluation(
        model,
        card,
        data,
        records,
        probabilities,
        classification_report(images.labels, probabilities, known, groups=groups),
        dict(sorted(excluded.items())),
        cached.skipped,
        _notes(dataset.notes, class_map, card),
        evaluate_alert(images.labels, probabilities, known, lesions, calibration),
    )


def model_class_map(records: Sequence[LesionRecord], card: ModelInfo, spec: str | None) -> ClassMap:
    """How the labels of records map to a model's classes; see :func:`evaluate`."""
    places = {record.label: str(record.path) for record in reversed(records)}
    known = card.model.classes
    if spec is None:
        return class_map_for(known, places, of=card.labels, places=places)
    asked = parse_class_map(spec, places, places=places)
    foreign = [name for name in asked.names if name not in known]
    if foreign:
        raise SettingsError(
            f"--classes names '{foreign[0]}', which is not a class of the model",
            where=f"--classes {spec}",
            remedy=f"The model's classes are {', '.join(known)}",
        )
    return ClassMap(known, asked.of, asked.note)


def _preprocessed(
    records: Sequence[LesionRecord], card: ModelInfo, skip_bad: bool, progress: Progress
) -> CachedImages:
    cached = PreprocessCache(default_cache_folder()).load(
        [record.path for record in records],
        card.preprocess,
        progress=progress,
        on_bad="skip" if skip_bad else "raise",
    )
    if not cached.positions.size:
        raise DatasetError(
            "No image can be read", where=records[0].path.parent, remedy="Check the image files"
        )
    return cached


def predict_finite(
    classifier: keras.Model, data: LabelledImages, path: Path, progress: Progress, views: int
) -> NDArray[np.float32]:
    """Probabilities float32 (N, C) of the model in a file; raises ModelError where one is not finite."""
    parts = []
    for start in range(0, len(data), CHUNK):
        part = slice(start, start + CHUNK)
        metadata = None if data.metadata is None else data.metadata[part]
        images = LabelledImages(data.images[part], data.labels[part], metadata)
        parts.append(apply_classifier(classifier, images, views))
        progress(min(start + CHUNK, len(data)), len(data))
    probabilities = np.concatenate(parts)
    if not np.isfinite(probabilities).all():
        raise ModelError(
            "The model's outputs are not finite", where=path, remedy="Copy it again from its run"
        )
    return probabilities


def _notes(of_data: Sequence[str], class_map: ClassMap, card: ModelInfo) -> tuple[str, ...]:
    of_map = class_map.note[:1].upper() + class_map.note[1:]
    own = FEDBN if card.model.batch_norm == "local" else ""
    return tuple(note for note in (*of_data, of_map, own, UNKNOWN_TRAINING) if note)


def write_evaluation(folder: Path, evaluation: Evaluation) -> dict[str, Any]:
    """Writes all files, or none, into a new or empty folder.

    Returns:
        The content of ``metrics.json``.

    Raises:
        DermaFedError: a file cannot be written.
    """
    summary = summarise(evaluation, folder / PREDICTIONS_FILE)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_atomically(folder / PREDICTIONS_FILE, predictions_table(evaluation).encode())
        _write_challenge_files(folder, evaluation)
        write_json(folder / METRICS_FILE, summary)
    except DermaFedError:
        shutil.rmtree(folder)
        raise
    return summary


def predictions_table(evaluation: Evaluation) -> str:
    """CSV: the image, its label, and a column of float32 probabilities for each class, without loss."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", *evaluation.card.model.classes])
    for record, row in zip(evaluation.records, evaluation.probabilities, strict=True):
        writer.writerow([record.image_id, record.label, *map(str, row)])
    return text.getvalue()


def _write_challenge_files(folder: Path, evaluation: Evaluation) -> None:
    classes = evaluation.card.model.classes
    images = [record.image_id for record in evaluation.records]
    labels = np.array([classes.index(record.label) for record in evaluation.records], np.int64)
    write_challenge_files(folder, images, labels, evaluation.probabilities, classes)


def summarise(evaluation: Evaluation, predictions: Path) -> dict[str, Any]:
    """The content of ``metrics.json``: the metrics, and the model and the data that they belong to."""
    card = evaluation.card
    return {
        "model": str(evaluation.model.resolve()),
        "round": card.round,
        "weights_origin": card.origin,
        "data": str(evaluation.data.resolve()),
        **evaluation.metrics.to_dict(),
        "alert": None if evaluation.alert is None else evaluation.alert.to_dict(),
        "excluded": evaluation.excluded,
        "unreadable": {str(path): reason for path, reason in evaluation.unreadable},
        "notes": list(evaluation.notes),
        "predictions": str(predictions.resolve()),
        "intended_use": USE,
    }
