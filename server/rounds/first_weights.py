"""Build a run's first weights in a separate process: they need Keras, which the server does not load."""

from __future__ import annotations

import io
import multiprocessing
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError
from dermafed.shared.model.model_info import weights_origin
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.parts import Parts, parts_without_layout
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.shared.training.trainer import FloatVector

START_FILE = "start.npz"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class FirstWeights:
    """The weights that a run starts from.

    Attributes:
        weights: float32 (P,).
        adapted: bool (P,), the weights that the strategy's step changes.
        origin: where they come from, for ``model.json``.
        parts: the part of each weight, as updates are screened.
        features: inputs K of the last layer, whose kernel (K, C) and bias (C,) are the last weights; 0 where
            the file of an earlier version does not say it.
        moved: bool (P,), the weights that training may change; ``None`` where such a file does not say it.
    """

    weights: FloatVector
    adapted: NDArray[np.bool_]
    origin: str
    parts: Parts
    features: int = 0
    moved: NDArray[np.bool_] | None = None


def first_weights(
    folder: Path, model: ModelSettings, weights: str, seed: int, stopped: Callable[[], bool]
) -> FirstWeights:
    """The first weights of the run in a folder, built if they do not exist yet.

    Args:
        folder: the run's folder.
        model: the architecture.
        weights: ``imagenet``, ``none``, ``lite0``, or the path of a file.
        seed: seed of the layers that start at random.
        stopped: checked regularly; the work is cancelled once it is true.

    Raises:
        ModelError: the weights are not available, or belong to another architecture.
        StorageError: they cannot be written.
        FederationError: the process was killed, or the work cancelled.
    """
    path = folder / START_FILE
    if not path.exists():
        _in_a_process(path, model, weights, seed, stopped)
    return read_first_weights(path)


def read_first_weights(path: Path) -> FirstWeights:
    """Read what :func:`build` wrote.

    Raises:
        FederationError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            adapted = file["adapted"]
            parts = file["parts"] if "parts" in file.files else parts_without_layout(adapted)
            features = int(file["features"]) if "features" in file.files else 0
            moved = file["moved"] if "moved" in file.files else None
            return FirstWeights(file["weights"], adapted, str(file["origin"]), parts, features, moved)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FederationError(
            "The run's first weights cannot be read",
            where=path,
            remedy="Delete the file, then resume the run",
        ) from error


def build(path: Path, model: ModelSettings, weights: str, seed: int) -> None:
    """Build the first weights and write them to a file; for a process that can load Keras."""
    from dermafed.shared.model.classifier import (
        last_layer_inputs,
        moved_mask,
        parts_of,
        to_flat,
        trainable_mask,
    )
    from dermafed.shared.model.initial_weights import initial_classifier

    classifier = initial_classifier(model, weights, seed=seed)
    content, origin = io.BytesIO(), np.array(weights_origin(weights))
    layout = {"adapted": trainable_mask(classifier), "parts": parts_of(classifier)}
    layout["moved"] = moved_mask(classifier)
    layout["features"] = np.array(last_layer_inputs(classifier))
    np.savez(content, weights=to_flat(classifier), origin=origin, **layout)  # type: ignore[arg-type]
    write_atomically(path, content.getvalue())


def _in_a_process(
    path: Path, model: ModelSettings, weights: str, seed: int, stopped: Callable[[], bool]
) -> None:
    # TensorFlow does not survive a fork.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        work = pool.submit(build, path, model, weights, seed)
        try:
            _await(work, stopped)
        except BrokenProcessPool as error:
            raise FederationError(
                "The process that built the first weights was killed, perhaps for lack of memory",
                remedy="Resume the run",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _await(work: Future[None], stopped: Callable[[], bool]) -> None:
    while not work.done():
        if stopped():
            raise FederationError("The run was stopped", remedy="Resume it when you like")
        time.sleep(_POLL_SECONDS)
    work.result()
