"""Writes small data sets to disk; the readers never read the bytes of the images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.lesions.splits import split_clinics
from tests.paths import SHARED

SHARED = SHARED / "data"


def images(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def table(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def document(path: Path, content: Any) -> Path:
    return table(path, json.dumps(content))


def record(
    image: str,
    label: str = "nevus",
    lesion: str | None = None,
    patient: str | None = None,
    path: Path | None = None,
    **attributes: str,
) -> LesionRecord:
    return LesionRecord(image, path or Path(f"{image}.jpg"), label, lesion, patient, attributes=attributes)


def split_records(records: Sequence[LesionRecord], **options: Any) -> Splits:
    """One clinic's split; options as of split_clinics."""
    (splits,) = split_clinics({"the data set": records}, **options).values()
    return splits
