"""What a monitor may ask: whether the node can answer, and its figures. It names nobody."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from dermafed.client.clinic.http.diagnosis_service import Desk
from dermafed.client.clinic.http.schema import Health


def state_router(desk: Desk) -> APIRouter:
    """``/health`` and ``/metrics``.

    Args:
        desk: whose state it is.
    """
    router = APIRouter(tags=["state"])
    used = desk.service.diagnoser.model.used

    @router.get("/health")
    async def health() -> Health:
        """Whether the node takes an image now; it listens only once its model is loaded and warm."""
        return Health(status="ok", ready=desk.work.has_room, model=used.name, round=used.round)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counts, seconds and the queue, for Prometheus."""
        return Response(desk.figures.text(), media_type=CONTENT_TYPE_LATEST)

    return router
