"""Compares our BM3D with the ``bm3d`` package: PSNR to the clean image, and seconds an image.

Both use every core. Run it as ``python benchmarks/bm3d.py FOLDER``, a folder with photographs. White Gaussian
noise is added to them. The package's licence allows non-commercial use only; without it, the table has only
our column.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dermafed.shared.imaging.bm3d.bm3d import bm3d_rgb

Image = NDArray[np.float32]
Denoiser = Callable[[Image, float], Image]

SIGMAS = (5, 15, 25)


def main(
    data: Annotated[Path, typer.Argument(help="Folder of images, searched with its subfolders.")],
    images: Annotated[int, typer.Option(min=1, help="Number of images, evenly spaced by name.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    clean = [read(path) for path in chosen(data, images)]
    ours = partial(bm3d_rgb, threads=os.cpu_count() or 1)
    engines: dict[str, Denoiser] = {"ours": ours, **package()}
    for denoise in engines.values():
        denoise(noisy(clean[0][:64, :64], 15, 0), 15 / 255)  # compile, load
    rows = [measure(clean, sigma, engines) for sigma in SIGMAS]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        Console().print(table(rows, len(clean)))


def chosen(folder: Path, count: int) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise typer.BadParameter(f"no JPEG or PNG image in {folder}")
    return paths[:: max(1, len(paths) // count)][:count]


def read(path: Path) -> Image:
    """Read RGB in [0, 1]."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise typer.BadParameter(f"{path} is not an image")
    return np.asarray(pixels, np.float32) / np.float32(255)


def package() -> dict[str, Denoiser]:
    """Return the function of the ``bm3d`` package; skips this file, which has the same name."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    try:
        reference = importlib.import_module("bm3d").bm3d_rgb
    except ImportError:
        return {}
    return {"package": lambda image, sigma: np.asarray(reference(image, sigma), np.float32)}


def noisy(image: Image, sigma: int, seed: int) -> Image:
    """Add white Gaussian noise of ``sigma`` / 255."""
    noise = np.random.default_rng(seed).normal(0, sigma / 255, image.shape)
    return (image + noise).astype(np.float32)


def psnr(image: Image, clean: Image) -> float:
    return float(-10 * np.log10(np.mean((image - clean) ** 2, dtype=np.float64)))


def measure(clean: list[Image], sigma: int, engines: dict[str, Denoiser]) -> dict[str, Any]:
    """Denoise every image with every engine in turn; return the means."""
    inputs = [noisy(image, sigma, seed) for seed, image in enumerate(clean)]
    row: dict[str, Any] = {"sigma": sigma, "noisy_psnr": mean_psnr(inputs, clean)}
    outputs: dict[str, list[Image]] = {name: [] for name in engines}
    seconds = dict.fromkeys(engines, 0.0)
    for image in inputs:
        for name, denoise in engines.items():
            start = time.perf_counter()
            outputs[name].append(denoise(image, sigma / 255))
            seconds[name] += time.perf_counter() - start
    for name in engines:
        row[f"{name}_psnr"] = mean_psnr(outputs[name], clean)
        row[f"{name}_seconds"] = seconds[name] / len(clean)
    if "package" in engines:
        row["psnr_difference"] = row["ours_psnr"] - row["package_psnr"]
        row["times_faster"] = row["package_seconds"] / row["ours_seconds"]
    return row


def mean_psnr(images: list[Image], clean: list[Image]) -> float:
    return float(np.mean([psnr(image, truth) for image, truth in zip(images, clean, strict=True)]))


def table(rows: list[dict[str, Any]], count: int) -> Table:
    shown = Table(title=f"BM3D on {count} images: mean PSNR in dB, mean seconds an image")
    for name in rows[0]:
        shown.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        shown.add_row(*(f"{value:.3g}" if "sec" in name else f"{value:.2f}" for name, value in row.items()))
    return shown


if __name__ == "__main__":
    typer.run(main)
