"""The state of the node for monitoring: health, and metrics for Prometheus; nothing that names anyone."""

from __future__ import annotations

import time

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.dicom.outbox import Outbox
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.schema import Health

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.8, 1, 1.5, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one node."""

    def __init__(self, model: ModelUsed, pool: WorkPool, outbox: Outbox | None = None) -> None:
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
        queue = Gauge("dermafed_in_hand", "Diagnoses and heatmaps in progress", registry=self._registry)
        queue.set_function(lambda: pool.active)
        used = Gauge("dermafed_model", "The model in use", ["name", "round"], registry=self._registry)
        used.labels(model.name, model.round).set(1)
        if outbox is not None:
            answers = Gauge(
                "dermafed_dicom_answers", "Answers in the outbox", ["state"], registry=self._registry
            )
            answers.labels("waiting").set_function(lambda: len(outbox.waiting()))
            answers.labels("failed").set_function(lambda: len(outbox.failures()))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request."""
        # The route's pattern: a path could name a diagnosis, and would make a metric of its own.
        route = getattr(scope.get("route"), "path", "other")
        self._requests.labels(scope["method"], route, status).inc()
        self._seconds.labels(route).observe(seconds)


class MetricsMiddleware:
    """ASGI middleware that counts and times every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

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
            self._metrics.count(scope, status, time.perf_counter() - start)


def monitoring_router(
    diagnoser: Diagnoser, pool: WorkPool, metrics: Metrics, outbox: Outbox | None = None
) -> APIRouter:
    """``/health`` and ``/metrics``.

    Args:
        diagnoser: has the model, and says whether it works.
        pool: says whether the node is busy.
        metrics: what ``/metrics`` shows.
        outbox: of DICOM answers, if any are sent.
    """
    router = APIRouter(tags=["state"])
    model = diagnoser.model.used

    @router.get("/health", response_model_exclude_defaults=True)
    async def health() -> Health:
        """Whether the node takes an image now; it listens only once its model is loaded, warm and tried."""
        ready = diagnoser.works and pool.has_room
        failed = 0 if outbox is None else len(await run_in_threadpool(outbox.failures))
        return Health(
            status="ok", ready=ready, model=model.name, round=model.round, dicom_answers_failed=failed
        )

    @router.get("/metrics", response_class=Response, name="metrics")
    async def show_metrics() -> Response:
        """Counts, seconds and the queue, for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
