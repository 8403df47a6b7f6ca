"""Diagnose image files as ``fl-client serve`` would, and save nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser, diagnose_image
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.node.home import Home
from dermafed.shared.errors import DatasetError, InputError
from dermafed.shared.imaging.decoding import read_bytes
from dermafed.shared.lesions.readers.image_files import named_images
from dermafed.shared.lesions.readers.image_kinds import IMAGE_SUFFIXES
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.training.backend import configure_backend

SUFFIXES = (*IMAGE_SUFFIXES, ".dcm", ".dicom")
DEVICE = "files"

Line = dict[str, Any]


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the images and DICOM files in and beneath the folders named, each once.

    Raises:
        DatasetError: a path does not exist, or a folder has no image.
    """
    for path in paths:
        if not path.exists():
            raise DatasetError("There is no such file or folder", where=path, remedy="Check the path")
    return named_images(paths, SUFFIXES)


def open_diagnoser(model: str, home: Home | None = None) -> tuple[Diagnoser, Calibration | None]:
    """A model, ready for use, and its calibration, as ``fl-client serve`` opens them.

    Args:
        model: see :func:`dermafed.client.clinic.diagnosis.opened_model.open_model`.
        home: the clinic's folder, for its saved models.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    configure_backend(1)
    opened = open_model(model, home)
    calibration = load_calibration(opened.file, opened.used.sha256)
    return Diagnoser(opened), calibration


def diagnose_files(
    files: Sequence[Path], diagnoser: Diagnoser, calibration: Calibration | None = None
) -> Iterator[Line]:
    """Diagnoses files one by one, by the functions that the server uses.

    Args:
        files: images, and DICOM objects with one.
        diagnoser: the model.
        calibration: of the model, if it was fitted.

    Yields:
        For each file its line; of one that cannot be used, ``image``, ``error`` and ``code``.
    """
    for file in files:
        name = os.fsencode(file).decode("utf-8", "replace")
        try:
            diagnosis, _ = diagnose_image(diagnoser, calibration, receive(read_bytes(file)), DEVICE)
            yield _line(name, diagnosis)
        except InputError as error:
            code = error.code if isinstance(error, Refused) else "unreadable"
            yield {"image": name, "error": error.what, "code": code}


def describe(line: Line) -> str:
    """A line as text for the terminal."""
    if "error" in line:
        return f"{line['image']}: cannot be used: {line['error']}"
    prediction = line["prediction"]
    remarks = (
        f"{prediction}, probability {line['probabilities'][prediction]:.2f}",
        _alert(line) if line["alert"] else "",
        "undecided: too close to call" if line["unsure"] else "",
        "may be outside what the model has seen" if line["outside"] else "",
        "no lesion found" if not line.get("lesion", {"found": True})["found"] else "",
        *(caution["code"] for caution in line["quality"]),
    )
    return f"{line['image']}: {'; '.join(filter(None, remarks))}"


def _alert(line: Line) -> str:
    score, threshold = line["alert_score"], f"threshold {line['alert_threshold']:.2f}"
    if score is None:
        return f"alert: melanoma {line['probabilities'][MELANOMA]:.2f}, {threshold}"
    return (
        f"alert: melanoma {score:.2f} as if all diagnoses were equally frequent, {threshold} of all clinics"
    )


def csv_header(classes: Sequence[str]) -> list[str]:
    """The columns of :func:`csv_row`."""
    numbers = [f"probability_{name}" for name in classes]
    return [*_FIRST, *numbers, *_MIDDLE, "quality", "model", "round", "seconds", "error", "code"]


def csv_row(line: Line, classes: Sequence[str]) -> list[str]:
    """A line as cells; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    numbers, model = line.get("probabilities", {}), line.get("model", {})
    cells = [
        *(line.get(name) for name in _FIRST),
        *(numbers.get(name) for name in classes),
        *(line.get(name) for name in _MIDDLE),
        " ".join(caution["code"] for caution in line.get("quality", ())),
        model.get("name"),
        model.get("round"),
        line.get("seconds"),
        line.get("error"),
        line.get("code"),
    ]
    return list(map(_cell, cells))


_FIRST = ("id", "image", "prediction")
_MIDDLE = ("unsure", "outside", "alert", "alert_threshold")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _line(name: str, diagnosis: Diagnosis) -> Line:
    values = diagnosis.to_dict()
    fields = (
        *("prediction", "probabilities", "unsure", "outside"),
        *("alert", "alert_threshold", "alert_score", "alert_note", "miss_rate", "possible"),
        *("quality", "model", "seconds"),
    )
    # Nothing is saved, so an id could not be looked up; the start of the image's digest is used.
    id = diagnosis.image_sha256[: len(diagnosis.id)]
    found = {} if diagnosis.lesion is None else {"lesion": values["lesion"]}
    return {"id": id, "image": name, **{each: values.get(each) for each in fields}, **found}


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
