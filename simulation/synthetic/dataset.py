"""Writes a synthetic dermoscopy data set in the form of real ones: images, lesion masks and a manifest."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.record import DRAWN, PAPER_CLASSES
from dermafed.shared.process import cores
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.synthetic.camera import photograph
from dermafed.simulation.synthetic.canvas import Canvas
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS, ClinicProfile, draw_patient
from dermafed.simulation.synthetic.criteria import draw_criteria
from dermafed.simulation.synthetic.scene import paint_scene

MANIFEST = "metadata.csv"
COLUMNS = ("image_id", "lesion_id", "diagnosis", "age", "sex", "site", "clinic")

_SECOND_IMAGE = 0.2
_MARGIN = 1.25
_SMALLEST = 32


@dataclass(frozen=True)
class _Case:
    """One lesion, to be photographed once or twice."""

    lesion_id: str
    diagnosis: str
    images: int
    clinic: ClinicProfile
    seed: np.random.SeedSequence


def generate_dataset(
    folder: Path,
    *,
    profiles: Sequence[ClinicProfile] = DEFAULT_CLINICS,
    seed: int,
    image_size: int = 160,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``metadata.csv``, ``images/*.jpg`` and ``masks/*.png`` into a new or empty folder.

    The same arguments give the same bytes, whatever the number of cores. The manifest is written last.

    Args:
        folder: the new or empty folder.
        profiles: the clinics; each gets exactly its number of images.
        seed: seed of all random draws, 0 or above.
        image_size: side of the square images, in pixels, at least 32.
        progress: called with the number of images written so far and in all.

    Raises:
        SettingsError: the folder is in use, or a profile, the seed or the size cannot be used.
    """
    _check(folder, profiles, seed, image_size)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    seeds = np.random.SeedSequence(seed).spawn(len(profiles))
    cases = [case for at, clinic in enumerate(profiles) for case in _cases(at + 1, clinic, seeds[at])]
    total, rows = sum(case.images for case in cases), []
    with ThreadPoolExecutor(cores()) as pool:
        for written in pool.map(lambda case: _write_case(folder, case, image_size), cases):
            rows += written
            if progress:
                progress(len(rows), total)
    _write_manifest(folder / MANIFEST, rows)


def draw_once(folder: Path, progress: Callable[[str], Callable[[int, int], None]], **arguments: Any) -> Path:
    """Draw the data set of a run or study unless it is there in full; returns its folder.

    Args:
        folder: the folder; what an interrupted start left in it is removed.
        progress: starts a stage of a run's progress.
        arguments: those of :func:`generate_dataset`.
    """
    if not (folder / MANIFEST).exists():
        shutil.rmtree(folder, ignore_errors=True)
        generate_dataset(folder, progress=progress("Drawing synthetic lesions"), **arguments)
    return folder


def _check(folder: Path, profiles: Sequence[ClinicProfile], seed: int, image_size: int) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError("The folder is in use", where=folder, remedy="Name a new or empty folder")
    if image_size < _SMALLEST or seed < 0:
        raise SettingsError(
            "The image size or the seed is too small",
            where=f"image size {image_size}, seed {seed}",
            remedy=f"Use at least {_SMALLEST} pixels and a seed of 0 or above",
        )
    if not profiles or len({clinic.name for clinic in profiles}) < len(profiles):
        raise SettingsError(
            "Clinics need names of their own", remedy="Give one or more profiles, each named once"
        )
    for clinic in profiles:
        shares = (*clinic.class_mix, *clinic.phototypes)
        if clinic.images < 1 or min(shares) < 0 or not sum(clinic.class_mix) or not sum(clinic.phototypes):
            raise SettingsError(
                "A clinic's profile cannot be used",
                where=clinic.name,
                remedy="Give it one or more images, and shares that are not negative and not all 0",
            )


def _cases(number: int, clinic: ClinicProfile, seed: np.random.SeedSequence) -> Iterator[_Case]:
    """A clinic's lesions in random order: its class mix, exactly, and a second image of some."""
    rng = np.random.default_rng(seed)
    lesions = []
    for diagnosis, left in zip(PAPER_CLASSES, _apportion(clinic.images, clinic.class_mix), strict=True):
        while left:
            images = 2 if left > 1 and rng.random() < _SECOND_IMAGE else 1
            lesions.append((diagnosis, images))
            left -= images
    rng.shuffle(lesions)
    for at, ((diagnosis, images), own) in enumerate(zip(lesions, seed.spawn(len(lesions)), strict=True)):
        yield _Case(f"L{number}{at:05d}", diagnosis, images, clinic, own)


def _apportion(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers that add up to ``total``, in these proportions (largest remainders)."""
    exact = total * np.asarray(shares) / sum(shares)
    counts = np.floor(exact).astype(int)
    for at in np.argsort(counts - exact, kind="stable")[: total - counts.sum()]:
        counts[at] += 1
    return [int(count) for count in counts]


def _write_case(folder: Path, case: _Case, size: int) -> list[tuple[str, ...]]:
    """Paint a lesion, photograph it, write the files; returns its rows of the manifest."""
    rng = np.random.default_rng(case.seed)
    shares = np.asarray(case.clinic.phototypes)
    phototype = 1 + int(rng.choice(len(shares), p=shares / shares.sum()))
    patient = draw_patient(case.diagnosis, case.clinic.older, rng)
    canvas = Canvas(round(_MARGIN * size), _MARGIN / case.clinic.camera.magnification)
    scene = paint_scene(canvas, draw_criteria(case.diagnosis, rng), phototype, rng)
    rows: list[tuple[str, ...]] = []
    for shot in range(case.images):
        image_id = f"{DRAWN}{case.lesion_id}_{shot}"
        image, mask = photograph(scene, case.clinic.camera, size, rng)
        quality = [cv2.IMWRITE_JPEG_QUALITY, case.clinic.camera.jpeg_quality]
        _write(folder / "images" / f"{image_id}.jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
        _write(folder / "masks" / f"{image_id}.png", mask, [])
        rows.append(
            (
                image_id,
                case.lesion_id,
                case.diagnosis,
                patient.age,
                patient.sex,
                patient.body_site,
                case.clinic.name,
            )
        )
    return rows


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    _, encoded = cv2.imencode(path.suffix, image, options)
    path.write_bytes(encoded.tobytes())


def _write_manifest(path: Path, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
