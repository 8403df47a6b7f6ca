"""A node for tests, with a quick stand-in for the network and a real store."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser, Prediction
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.client.clinic.mqtt.responder import run_mqtt
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from tests.client.clinic.stores import new_store


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


def quick_service(store: Store, seconds: float = 0.0) -> DiagnosticService:
    return DiagnosticService(cast(Diagnoser, QuickDiagnoser(seconds)), store)


def answer_until_killed(broker: MqttSettings, folder: Path, seconds: float) -> None:
    """A node in a process of its own; a diagnosis takes so many seconds."""
    asyncio.run(run_mqtt(quick_service(new_store(folder), seconds), broker))
