"""A node as clinics run it, over TLS on this machine, with a small untrained model."""

from __future__ import annotations

import asyncio
import io
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import keras
import numpy as np
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.http.app import build_app
from dermafed.client.clinic.http.certificate import certificate_for
from dermafed.client.clinic.http.listening import ListenAddress, make_server
from dermafed.client.clinic.http.model_facts import model_facts
from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.client.clinic.http.tokens import TOKENS, Tokens
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import make_home
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.explain.small_networks import small_classifier, small_image

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
SIDE = 64


def small_diagnoser(certainty: float = 2.5, classifier: keras.Model | None = None) -> Diagnoser:
    """Random weights; of a round and a name of its own. If uncertain, it has one heatmap for all classes."""
    model = classifier or small_classifier(side=SIDE, certainty=certainty)
    card = ModelInfo(
        ModelSettings(classes=CLASSES, image_size=SIDE),
        PreprocessSettings(image_size=SIDE, denoise="none", clahe=False),
        "random",
        7,
    )
    used = ModelUsed("alps", 7, "0" * 64)
    engine = None if classifier is None else "tensorflow"  # for one test only it would be compiled in vain
    return Diagnoser(OpenedModel(model, card, used, Path("none") / "model.keras"), engine)


def png(seed: int = 0, side: int = 300) -> bytes:
    """A drawn lesion as a file, unlike that of any other seed."""
    return encoded(small_image(seed, side), "PNG")


def encoded(image: np.ndarray, format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format)
    return file.getvalue()


@dataclass
class Node:
    """A running node, and what its tests need.

    Attributes:
        url: of the page.
        authority: that vouches for it.
        tokens: of devices and clinicians.
        store: what it keeps.
        service: what diagnoses.
        clients: those that were asked for. To one that is still there, its server says goodbye for a second.
    """

    url: str
    authority: Path
    tokens: Tokens
    store: Store
    service: DiagnosticService
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """An HTTP client that trusts the node."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        client = httpx.Client(
            base_url=self.url, verify=self.tls, headers=headers, timeout=60, trust_env=False
        )
        self.clients.append(client)
        return client

    def device(self, name: str = "camera-1") -> httpx.Client:
        """The client of a new device."""
        return self.client(self.tokens.make(name, "device"))

    def clinician(self, name: str = "anna") -> httpx.Client:
        """A browser's session of a new clinician, at the page."""
        client = self.client(Origin=self.url)
        answer = client.post("/sign-in", data={"token": self.tokens.make(name, "clinician")})
        assert answer.status_code == 303, answer.text
        return client


@contextmanager
def running(
    diagnoser: Diagnoser, folder: Path, calibration: Calibration | None = None, **settings: object
) -> Iterator[Node]:
    """A node with these settings, until the context ends.

    Unless the settings say otherwise, the page shows the model's answer at once, since most tests are of it.
    """
    chosen = ServeSettings.model_validate({"impression_first": False, **settings})
    home = make_home(folder, "graz", folder)
    store, tokens = open_store(home, chosen.retention_days), Tokens(home.serving / TOKENS)
    service = DiagnosticService(diagnoser, store, calibration)
    place = ListenAddress("127.0.0.1", 0)
    certificate = certificate_for(home.serving, "graz", place.names(chosen), chosen)
    facts = model_facts(diagnoser.model, calibration, "graz")
    app = build_app(service, tokens, facts, chosen, place.names(chosen))
    started = threading.Event()
    assert certificate.authority is not None
    with store, place.bound() as socket:
        server = make_server(app, certificate.context(), chosen, started.set)
        thread = threading.Thread(target=lambda: asyncio.run(server._serve([socket])))  # without signals
        thread.start()
        try:
            assert started.wait(60)
            node = Node(place.address(socket), certificate.authority, tokens, store, service)
            yield node
            for client in node.clients:
                client.close()
        finally:
            server.should_exit = True
            thread.join(90)
