"""The name of a model by its weights: both sides of a message, a round and a calibration know it by that."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def weights_digest(weights: NDArray[np.float32]) -> str:
    """SHA-256 of a model's flat weights, float32 (P,), in hexadecimal; they are not copied."""
    return hashlib.sha256(np.ascontiguousarray(weights).data).hexdigest()
