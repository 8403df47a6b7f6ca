"""Small data sets for the commands, and the commands themselves, run in this process."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.paths import SHARED

HAM = SHARED / "data" / "ham10000"
needs_real_images = pytest.mark.skipif(not HAM.is_dir(), reason="the real images are not beside the checkout")

LABELS = ("melanoma", "nevus", "seborrheic_keratosis")
SIDE = 40  # pixels


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


def command(main: Callable[[], None], capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Runs a command's entry point with these arguments, as a shell would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["command", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Outcome(code, *capsys.readouterr())


def draw_image(path: Path, seed: int) -> None:
    """A blotch on skin, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), (150, 180, 220), np.uint8)
    centre = (int(rng.integers(15, 25)), int(rng.integers(15, 25)))
    cv2.circle(image, centre, int(rng.integers(5, 14)), tuple(map(int, rng.integers(20, 120, 3))), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        cv2.imencode(path.suffix, image + rng.integers(0, 20, image.shape).astype(np.uint8))[1].tobytes()
    )


def draw_dataset(
    folder: Path,
    clinics: Sequence[str] = ("north", "south"),
    lesions: int = 5,
    labels: Sequence[str] = LABELS,
) -> Path:
    """A manifest and drawn images: so many lesions of each label at each clinic, an image each."""
    rows: list[dict[str, str]] = []
    for clinic in clinics:
        for label in labels:
            for _ in range(lesions):
                name = f"image_{len(rows):03d}"
                draw_image(folder / "images" / f"{name}.png", len(rows))
                rows.append({"image_id": name, "lesion_id": name, "diagnosis": label, "clinic": clinic})
    write_manifest(folder, rows)
    return folder


def real_dataset(folder: Path, lesions: int, clinics: Sequence[str]) -> Path:
    """So many HAM10000 images of melanoma, nevus and benign keratosis each, dealt out to the clinics."""
    with (HAM / "metadata.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    rows: list[dict[str, str]] = []
    for label in ("mel", "nv", "bkl"):
        of_label = {row["lesion_id"]: row for row in table if row["diagnosis"] == label}
        for number, row in enumerate(list(of_label.values())[: lesions * len(clinics)]):
            rows.append({**row, "clinic": clinics[number % len(clinics)]})
    (folder / "images").mkdir(parents=True)
    for row in rows:
        shutil.copy(HAM / "images" / f"{row['image_id']}.jpg", folder / "images")
    write_manifest(folder, rows)
    return folder


def write_manifest(folder: Path, rows: Sequence[dict[str, str]]) -> None:
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def edit_manifest(folder: Path, old: str, new: str) -> None:
    """Replaces the first occurrence of a text in the manifest."""
    path = folder / "metadata.csv"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
