"""What a diagnostic service asks of its store; :mod:`dermafed.client.clinic.store` is the real one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.receive import Received


class Keeping(Protocol):
    """Keeps diagnoses; safe for many threads."""

    def find(self, device: str, request: str) -> Diagnosis | None:
        """The diagnosis of a sender's request, if there was one."""
        ...

    def keep(
        self,
        diagnosis: Diagnosis,
        received: Received,
        prepared: NDArray[np.uint8],
        photograph: bytes | None = None,
    ) -> Diagnosis:
        """Keep a diagnosis and its image; on the disk when this returns.

        Args:
            diagnosis: what was said.
            received: its image, and what an answer in DICOM needs.
            prepared: what the network saw, RGB uint8 (S, S, 3).
            photograph: the image as the store keeps it, if there was time to encode it before.

        Returns:
            The diagnosis kept: of a device's request that was kept before, the one of before.

        Raises:
            StorageError: it could not be kept; nothing of it is.
        """
        ...

    def get(self, id: str) -> Diagnosis:
        """A diagnosis; raises Refused (404) if there is none."""
        ...

    def prepared(self, id: str) -> NDArray[np.uint8]:
        """What the network saw, RGB uint8 (S, S, 3); raises Refused (404)."""
        ...
