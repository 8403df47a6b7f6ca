"""A diagnosing node for tests: a real network of random weights, and a real store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, ModelUsed
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.client.clinic.stores import new_store, saved_today
from tests.shared.explain.small_networks import small_classifier

SIDE = 64
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def small_diagnoser() -> Diagnoser:
    settings = ModelSettings(classes=CLASSES, image_size=SIDE)
    card = ModelInfo(settings, PreprocessSettings(image_size=SIDE, denoise="none", clahe=False), "random", 7)
    used = ModelUsed("alps", 7, "0" * 64)
    return Diagnoser(OpenedModel(small_classifier(side=SIDE), card, used, Path("none") / "model"))


@dataclass
class Node:
    """What a test needs of a node."""

    service: DiagnosticService
    store: Store
    diagnosed: list[str] = field(default_factory=list)

    @property
    def quarantined(self) -> list[tuple[bytes, str, str]]:
        """The objects in quarantine, each with why and from which device."""
        waiting = self.store.list_quarantined()
        return [(self.store.load_quarantined(each.id), each.why, each.device) for each in waiting]

    @property
    def diagnoses(self) -> list[Diagnosis]:
        return saved_today(self.store)


def node_of(diagnoser: Diagnoser, folder: Path) -> Node:
    store = new_store(folder)
    return Node(DiagnosticService(diagnoser, store), store)
