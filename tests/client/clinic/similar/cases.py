"""Sample cases of a clinic, with features."""

from __future__ import annotations

import numpy as np

from dermafed.client.clinic.similar.case_index import Case, CaseIndex

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
MODEL = "ab" * 32


def case(number: int, diagnosis: str = "nevus", **changes: str) -> Case:
    given = {
        "id": f"image_{number}",
        "lesion": f"lesion_{number}",
        "path": f"image_{number}.png",
        "stamp": "1-2",
        "sha256": f"{number:064x}",
        "confirmed_by": "histopathology",
    }
    return Case(diagnosis=diagnosis, **{**given, **changes})


def index(count: int = 60, features: int = 8, seed: int = 0, lesion_of: int = 1) -> CaseIndex:
    """Cases of three classes in turn, with another mean each; so many images a lesion."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) // lesion_of % 3
    values = rng.normal(size=(3, features))[labels] + rng.normal(size=(count, features))
    cases = tuple(
        case(number, CLASSES[label], lesion=f"lesion_{number // lesion_of}")
        for number, label in enumerate(labels)
    )
    return CaseIndex(MODEL, cases, values.astype(np.float32))
