"""A node for tests, with a quick stand-in for the network and a store of files that outlives a kill.

    python -m tests.client.clinic.mqtt.node SETTINGS.json FOLDER SECONDS

answers until it is killed; a diagnosis takes so many seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser, Prediction
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, ModelUsed
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.mqtt.responder import run_mqtt
from dermafed.client.clinic.service import DiagnosticService
from tests.client.clinic_store_in_memory import InMemory


class QuickDiagnoser:
    """Its logits are the means of red, green and blue."""

    classes = ("melanoma", "nevus", "seborrheic_keratosis")
    model = SimpleNamespace(used=ModelUsed("quick", 1, "0" * 64))

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def predict(self, image: NDArray[np.uint8], clinical: Clinical) -> Prediction:
        time.sleep(self.seconds)
        means = image.mean(axis=(0, 1)).astype(np.float32) / 50
        return Prediction(image, means, means)


class Files(InMemory):
    """A file for each diagnosis, named for its device and request."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def find(self, device: str, request: str) -> Diagnosis | None:
        file = self.folder / f"{device} {request}"
        return Diagnosis.from_dict(json.loads(file.read_text())) if file.exists() else None

    def keep(
        self,
        diagnosis: Diagnosis,
        received: Received,
        prepared: NDArray[np.uint8],
        photograph: bytes | None = None,
    ) -> Diagnosis:
        kept = super().keep(diagnosis, received, prepared)
        part = self.folder.with_name(f"{kept.id}.part")
        part.write_text(json.dumps(kept.to_dict()))
        part.replace(self.folder / f"{kept.device} {kept.request}")
        return kept


def quick_service(store: InMemory, seconds: float = 0.0) -> DiagnosticService:
    return DiagnosticService(cast(Diagnoser, QuickDiagnoser(seconds)), store)


def main(settings: str, folder: str, seconds: str) -> None:
    store = Files(Path(folder))
    broker = MqttSettings.model_validate_json(Path(settings).read_text())
    asyncio.run(run_mqtt(quick_service(store, float(seconds)), broker))


if __name__ == "__main__":
    main(*sys.argv[1:])
