"""A device: images in, probabilities and heatmaps out, over HTTPS."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx

from benchmarks.serve.node import Node

BUSY = (429, 503)  # the limits that the node states: requests a minute, requests in hand
_PATIENCE = 900.0  # seconds; a machine may sleep


@dataclass
class Device:
    """What one device sent and got.

    Attributes:
        node: whom it asks.
        token: what it is known by.
        diagnosed: seconds from the image to the probabilities.
        explained: seconds from the image to the heatmap.
        ids: of the diagnoses it was given.
        refused: answers by status, but for those of success.
    """

    node: Node
    token: str
    diagnosed: list[float] = field(default_factory=list)
    explained: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._client = httpx.Client(
            base_url=self.node.address,
            verify=self.node.trusted,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=_PATIENCE,
        )

    def diagnose(self, image: bytes, *, heatmap: bool) -> None:
        """Send an image as a new request, and ask for its heatmap."""
        start = time.perf_counter()
        given = {"metadata": json.dumps({"request": uuid.uuid4().hex})}
        answer = self._client.post("/v1/diagnoses", files={"image": image}, data=given)
        if not self._taken(answer):
            return
        self.diagnosed.append(time.perf_counter() - start)
        self.ids.append(answer.json()["id"])
        if heatmap and self._taken(self._client.get(f"/v1/diagnoses/{self.ids[-1]}/heatmap.png")):
            self.explained.append(time.perf_counter() - start)

    def lost(self) -> int:
        """How many of its diagnoses the node does not know."""
        return sum(not self._known(id) for id in self.ids)

    def _known(self, id: str) -> bool:
        while (answer := self._client.get(f"/v1/diagnoses/{id}")).status_code in BUSY:
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        return answer.is_success

    def _taken(self, answer: httpx.Response) -> bool:
        if answer.status_code in BUSY:
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        if not answer.is_success:
            self.refused[answer.status_code] += 1
        return answer.is_success
