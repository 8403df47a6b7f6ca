"""A store that keeps diagnoses in memory, for tests of the ways in."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.intake.refusals import Refused


class InMemory:
    """See :class:`dermafed.client.clinic.diagnosis.keeping.Keeping`."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Diagnosis, NDArray[np.uint8]]] = {}
        self.quarantined: list[tuple[bytes, str, str]] = []
        self._requests: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def find(self, device: str, request: str) -> Diagnosis | None:
        with self._lock:
            id = self._requests.get((device, request))
        return None if id is None else self.get(id)

    def keep(
        self,
        diagnosis: Diagnosis,
        received: Received,
        prepared: NDArray[np.uint8],
        photograph: bytes | None = None,
    ) -> Diagnosis:
        with self._lock:
            if diagnosis.request is not None:
                id = self._requests.setdefault((diagnosis.device, diagnosis.request), diagnosis.id)
                if id != diagnosis.id:
                    return self.kept[id][0]
            self.kept[diagnosis.id] = diagnosis, prepared
        return diagnosis

    def get(self, id: str) -> Diagnosis:
        return self._of(id)[0]

    def prepared(self, id: str) -> NDArray[np.uint8]:
        return self._of(id)[1]

    def quarantine(self, data: bytes, why: str, device: str) -> None:
        self.quarantined.append((data, why, device))

    def _of(self, id: str) -> tuple[Diagnosis, NDArray[np.uint8]]:
        if id not in self.kept:
            raise Refused("unknown", "There is no such diagnosis")
        return self.kept[id]
