"""``FILE.trust.json`` beside a model, and ``FILE.trust.npz`` for what never leaves the clinic."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.shared.errors import FederationError, ModelError
from dermafed.shared.metrics.calibration.calibration import Trust
from dermafed.shared.metrics.calibration.document import from_document, to_document
from dermafed.shared.metrics.calibration.out_of_distribution import Outside
from dermafed.shared.storage.atomic_files import write_private

_REMEDY = "Run: fl-client calibrate"


def trust_files(model: Path) -> tuple[Path, Path]:
    """Where the trust of a model file lies: the figures, and what stays at the clinic."""
    return model.with_suffix(".trust.json"), model.with_suffix(".trust.npz")


def save_trust(model: Path, trust: Trust) -> None:
    """Write a model's trust beside it, each file whole or not at all, readable by its owner.

    Args:
        model: the model's file.
        trust: of this model.

    Raises:
        StorageError: a file cannot be written.
    """
    figures, arrays = trust_files(model)
    document = to_document(trust)
    if trust.rule is not None:
        content = io.BytesIO()
        np.savez(content, mean=trust.rule.mean, whitening=trust.rule.whitening)
        # Before the figures, which name it: never figures without it.
        write_private(arrays, content.getvalue())
        document["outside"] = {
            "threshold": trust.rule.threshold,
            "images": trust.rule.images,
            "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        }
    write_private(figures, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def load_trust(model: Path, sha256: str) -> Trust | None:
    """What is known of a model's numbers, if its trust was ever fitted.

    Args:
        model: the model's file.
        sha256: of its weights.

    Raises:
        ModelError: the files are damaged, do not belong together, or belong to another model.
    """
    figures, arrays = trust_files(model)
    if not figures.exists():
        return None
    try:
        values: dict[str, Any] = json.loads(figures.read_text("utf-8"))
        trust = from_document(values)
        rule = None if values.get("outside") is None else _rule(values["outside"], arrays)
    except FileNotFoundError as error:
        raise ModelError("A file beside the model is missing", where=arrays, remedy=_REMEDY) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, FederationError) as error:
        raise ModelError("The model's trust file cannot be read", where=figures, remedy=_REMEDY) from error
    if trust.model != sha256:
        raise ModelError("The trust file belongs to another model", where=figures, remedy=_REMEDY)
    return replace(trust, rule=rule)


def _rule(values: dict[str, Any], path: Path) -> Outside:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != values["sha256"]:
        raise ValueError("the arrays are not those that the figures name")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            mean, whitening = arrays["mean"], arrays["whitening"]
    except (EOFError, zipfile.BadZipFile) as error:
        raise ValueError("the arrays cannot be read") from error
    threshold, size = float(values["threshold"]), len(mean)
    if whitening.shape != (size, size) or not np.isfinite([threshold, *mean, whitening.sum()]).all():
        raise ValueError("the arrays are none of a model's")
    return Outside(mean, whitening, threshold, int(values["images"]))
