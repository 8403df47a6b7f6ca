"""A made-up run with plausible results, to render."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.classification import ClassificationMetrics, classification_report
from tests.paths import SHARED

CLASSES = ["melanoma", "nevus", "seborrheic_keratosis"]
MIX = {"Vienna": (110, 420, 130), "Queensland": (160, 90, 60), "Rosendahl": (30, 210, 190)}
SKILL = {"local": 1.0, "federated": 2.3, "pooled": 2.6}


def predictions(
    counts: tuple[int, ...], skill: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    logits = rng.normal(size=(labels.size, len(counts)))
    logits[np.arange(labels.size), labels] += skill
    exponentials = np.exp(1.5 * logits)
    return labels, exponentials / exponentials.sum(axis=1, keepdims=True)


def metrics(counts: tuple[int, ...], skill: float, seed: int) -> ClassificationMetrics:
    return classification_report(*predictions(counts, skill, seed), CLASSES, bootstrap=100)


def held_out(counts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(round(0.2 * count) for count in counts)


def arm(name: str, mix: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    pooled = tuple(int(total) for total in np.sum([held_out(m) for m in mix.values()], axis=0))
    clinics = {
        clinic: metrics(held_out(counts), SKILL[name], seed).to_dict()
        for seed, (clinic, counts) in enumerate(mix.items())
    }
    content: dict[str, Any] = {"clinics": clinics, "mean_over_clinics": means(list(clinics.values()))}
    if name == "local":
        models = {clinic: metrics(pooled, 0.5 + 0.25 * i, 10 + i).to_dict() for i, clinic in enumerate(mix)}
        return content | {"models": models} | means(list(models.values()))
    return content | {"test": (test := metrics(pooled, SKILL[name], 7).to_dict())} | means([test])


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("balanced_accuracy", "accuracy", "auc")
    return {key: float(np.mean([row[key] for row in rows])) for key in keys}


def result(mix: dict[str, tuple[int, ...]] = MIX) -> dict[str, Any]:
    return {
        "title": "Three clinics, skin lesions in three classes",
        "command": "fl-simulate --data ham10000 --clinics clinic --classes paper --baselines --rounds 20",
        "version": "0.1.0",
        "created": "2026-03-14T09:26:53+00:00",
        "seconds": 345.2,
        "settings": {"rounds": 20, "classes": CLASSES, "baselines": True, "resume": None, "mu": 0.01},
        "classes": CLASSES,
        "clinics": [clinic(name, counts) for name, counts in mix.items()],
        **{name: arm(name, mix) for name in ("federated", "local", "pooled")},
        "notes": ["bkl holds more than seborrheic keratosis: the class map is an approximation."],
        "report": "run/report.html",
        "model": "run/model.keras",
    }


def clinic(name: str, counts: tuple[int, ...]) -> dict[str, Any]:
    test = sum(held_out(counts))
    splits = {"train": sum(counts) - 2 * test, "validation": test, "test": test}
    return {"name": name, "images": dict(zip(CLASSES, counts, strict=True)), "splits": splits}


def history(rounds: int = 20, names: tuple[str, ...] = tuple(MIX)) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    ends = {"federated": 0.93, "pooled": 0.94} | {
        f"local:{name}": 0.6 + 0.04 * i for i, name in enumerate(names)
    }
    return [
        {
            "arm": name,
            "round": step,
            "train_loss": 1.1 - end * step / rounds,
            "validation_loss": 1.15 - end * (1 - np.exp(-step / 5)) + 0.02 * rng.random(),
            "validation_balanced_accuracy": (value := end - (end - 0.34) * np.exp(-step / 5)),
            "validation_accuracy": value,
            "validation_auc": (1 + value) / 2 + 0.01 * rng.random(),
            "seconds": 6.0,
        }
        for name, end in ends.items()
        for step in range(1, rounds + 1)
    ]


def stages(count: int = 3, pixels: int = 224) -> list[tuple[str, dict[str, NDArray[np.uint8]]]]:
    """Real images where the project's data is, noise elsewhere, with plausible steps."""
    return [(name, _steps(image, pixels)) for name, image in _images(count)]


def sheet() -> NDArray[np.uint8]:
    tiles = [cv2.resize(image, (200, 150)) for _, image in _images(12)]
    return np.vstack([np.hstack(tiles[start : start + 6]) for start in (0, 6)])


def _images(count: int) -> list[tuple[str, NDArray[np.uint8]]]:
    files = sorted((SHARED / "data" / "ham10000" / "images").glob("*.jpg"))[: 40 * count : 40]
    if len(files) < count:
        rng = np.random.default_rng(0)
        return [(f"image {i}", rng.integers(0, 256, (150, 200, 3), dtype=np.uint8)) for i in range(count)]
    return [(file.stem, cv2.imread(str(file))[..., ::-1]) for file in files]


def _steps(image: NDArray[np.uint8], pixels: int) -> dict[str, NDArray[np.uint8]]:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    resized = cv2.resize(np.ascontiguousarray(image[top : top + side, left : left + side]), (pixels, pixels))
    denoised = cv2.bilateralFilter(resized, 5, 20, 3)
    lab = cv2.cvtColor(denoised, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
    contrast = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return {
        "photograph": image,
        "resized": resized,
        "denoised (BM3D)": denoised,
        "contrast (CLAHE)": contrast,
    }
