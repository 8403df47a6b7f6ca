"""The index of a clinic's confirmed cases: a private file, bound to one model by the SHA-256 of its weights.

An ``.npz`` with ``about`` (JSON: version, model, cases) and ``features`` (float32 (N, K)), one row a case. It
holds no pixels, but features can tell who had a lesion of which kind: only its owner can read it, and it is
removed with any case that is (:func:`dermafed.client.node.reviewed.remove_reviewed`).
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.storage.atomic_files import write_private

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A confirmed case of the clinic.

    Attributes:
        id: the image's name, unique in its data set.
        diagnosis: one of the model's classes.
        lesion: shared by images of the same lesion.
        path: the image file.
        stamp: its size and time, by which a change is seen.
        sha256: of the file, 64 hexadecimal digits.
        confirmed_by: how it was confirmed, or empty where the data do not say.
    """

    id: str
    diagnosis: str
    lesion: str
    path: str
    stamp: str
    sha256: str
    confirmed_by: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CaseIndex:
    """Cases, and what a model makes of their images.

    Attributes:
        model: SHA-256 of the model's weights.
        cases: N of them.
        features: before the model's last layer, float32 (N, K).
    """

    model: str
    cases: tuple[Case, ...]
    features: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the index; raises StorageError where that fails."""
        about = {"version": _VERSION, "model": self.model, "cases": [asdict(case) for case in self.cases]}
        content = io.BytesIO()
        encoded = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez(content, about=encoded, features=self.features)
        write_private(path, content.getvalue())


def load_index(path: Path, model: str) -> CaseIndex | None:
    """The index of a model; ``None`` if there is none, it is another's, or it is damaged.

    Args:
        path: the file.
        model: SHA-256 of the model's weights.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            about, features = json.loads(content["about"].tobytes()), content["features"]
        if about["version"] != _VERSION or about["model"] != model:
            return None
        cases = tuple(Case(**each) for each in about["cases"])
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    fits = features.dtype == np.float32 and features.ndim == 2 and len(features) == len(cases)
    return CaseIndex(model, cases, features) if fits and np.isfinite(features).all() else None
