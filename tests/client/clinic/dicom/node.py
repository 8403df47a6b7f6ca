"""A diagnosing node for tests: a real network of random weights, and a store in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, ModelUsed
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.intake.receive import Received, Reference
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.errors import StorageError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.explain.small_networks import small_classifier

SIDE = 64
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def small_diagnoser() -> Diagnoser:
    settings = ModelSettings(classes=CLASSES, image_size=SIDE)
    card = ModelInfo(settings, PreprocessSettings(image_size=SIDE, denoise="none", clahe=False), "random", 7)
    used = ModelUsed("alps", 7, "0" * 64)
    return Diagnoser(OpenedModel(small_classifier(side=SIDE), card, used, Path("none") / "model"))


class Memory:
    """Keeps everything; its disk can be full."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Diagnosis, Received, NDArray[np.uint8]]] = {}
        self.quarantined: list[tuple[bytes, str, str]] = []
        self.full = False
        self._lock = threading.Lock()

    def find(self, device: str, request: str) -> Diagnosis | None:
        said = [each[0] for each in list(self.kept.values())]
        return next((each for each in said if (each.device, each.request) == (device, request)), None)

    def keep(
        self,
        diagnosis: Diagnosis,
        received: Received,
        prepared: NDArray[np.uint8],
        photograph: bytes | None = None,
    ) -> Diagnosis:
        if self.full:
            raise StorageError("Cannot write: No space left on device", where="/secret/place")
        with self._lock:
            before = diagnosis.request and self.find(diagnosis.device, diagnosis.request)
            if before:
                return before
            self.kept[diagnosis.id] = diagnosis, received, prepared
        return diagnosis

    def get(self, id: str) -> Diagnosis:
        return self._of(id)[0]

    def prepared(self, id: str) -> NDArray[np.uint8]:
        return self._of(id)[2]

    def reference(self, id: str) -> Reference | None:
        return self._of(id)[1].reference

    def quarantine(self, data: bytes, why: str, device: str) -> None:
        self.quarantined.append((data, why, device))

    def _of(self, id: str) -> tuple[Diagnosis, Received, NDArray[np.uint8]]:
        if id not in self.kept:
            raise Refused("unknown", "There is no such diagnosis")
        return self.kept[id]


@dataclass
class Node:
    """What a test needs of a node."""

    service: DiagnosticService
    store: Memory
    diagnosed: list[str] = field(default_factory=list)

    @property
    def diagnoses(self) -> list[Diagnosis]:
        return [each[0] for each in self.store.kept.values()]


def node_of(diagnoser: Diagnoser) -> Node:
    store = Memory()
    return Node(DiagnosticService(diagnoser, store), store)
