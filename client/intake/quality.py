"""stub"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.intake.received import Caution


def assess(image: NDArray[np.uint8]) -> tuple[Caution, ...]:
    """Stub."""
    return ()
