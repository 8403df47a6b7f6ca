"""How the node stands, for Prometheus: counts, seconds and the queue; nothing that names anyone."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.http.thread_pool import Work

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.8, 1, 1.5, 2.5, 5, 10, 30)


class Figures:
    """The figures of one node."""

    def __init__(self, model: ModelUsed, work: Work) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "dermafed_requests", "Requests answered", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "dermafed_request_seconds",
            "From a request's headers to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.diagnoses = Counter("dermafed_diagnoses", "Diagnoses answered", registry=self._registry)
        queue = Gauge("dermafed_in_hand", "Diagnoses and heatmaps in hand", registry=self._registry)
        queue.set_function(lambda: work.in_hand)
        used = Gauge("dermafed_model", "The model in use", ["name", "round"], registry=self._registry)
        used.labels(model.name, model.round).set(1)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request."""
        # The route's pattern: a path could name a diagnosis, and would make a figure of its own.
        route = getattr(scope.get("route"), "path", "other")
        self._requests.labels(scope["method"], route, status).inc()
        self._seconds.labels(route).observe(seconds)


class Counted:
    """ASGI middleware that counts and times every request."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 499  # without an answer: the client has gone

        async def noted_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted_send)
        finally:
            self._figures.answered(scope, status, time.perf_counter() - start)
