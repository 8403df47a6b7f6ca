"""The node's application: its routes, and what every request passes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.clinic.dicom.stow import stow_router
from dermafed.client.clinic.http.access import Callers, KnownHosts, SecurityHeaders, allowed
from dermafed.client.clinic.http.api import api_router, export_router
from dermafed.client.clinic.http.failures import Failures, as_json, say_what_http_refuses
from dermafed.client.clinic.http.limits import BodyLimit, RateLimitMiddleware, WorkPool
from dermafed.client.clinic.http.model_facts import ModelFacts
from dermafed.client.clinic.http.monitoring import Metrics, RequestMetrics, monitoring_router
from dermafed.client.clinic.http.page import STATIC, as_page, page_router
from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.client.clinic.http.tokens import Caller, Sessions, Tokens
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService


def build_app(
    service: DiagnosticService,
    tokens: Tokens,
    facts: ModelFacts,
    settings: ServeSettings,
    hosts: Sequence[str] = (),
) -> FastAPI:
    """The application; routers of other ways in may be added to it.

    Such a router's routes take ``Depends(callers.allowed("device"))``, whose value tells who sends.
    Everything else (hosts, limits, answers to what is raised) holds for them too.

    Args:
        service: diagnoses and saves.
        tokens: of devices and clinicians.
        facts: what the page tells of the model.
        settings: the limits.
        hosts: names and addresses by which the node is reached, beside the settings' and this machine's.
    """
    pool = WorkPool(settings.waiting)
    metrics = Metrics(service.diagnoser.model.used, pool)
    sessions = Sessions(tokens, 3600 * settings.session_hours)

    async def run(call: Callable[[], Any]) -> Any:
        with pool.slot():
            return await pool.run(call)

    app = FastAPI(
        title="DermaFed", version="1", description=USE,
        openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    for router in (
        api_router(service, pool, metrics),
        export_router(service, pool),
        stow_router(service, _sender, settings.max_body, run),
        monitoring_router(service.diagnoser.model.used, pool, metrics),
        page_router(service, pool, sessions, facts),
    ):
        app.include_router(router)
    app.mount("/static", _Static(directory=STATIC))
    say_what_http_refuses(app)
    # What is added last, a request meets first.
    app.add_middleware(BodyLimit, largest=settings.max_body, seconds=settings.upload_seconds)
    app.add_middleware(RateLimitMiddleware, per_minute=settings.requests_per_minute)
    app.add_middleware(Callers, tokens=tokens, sessions=sessions)
    app.add_middleware(KnownHosts, hosts=(*hosts, *settings.hosts))
    app.add_middleware(Failures, answer=_answer)
    app.add_middleware(RequestMetrics, metrics=metrics)
    app.add_middleware(SecurityHeaders)
    return app


def _sender(caller: Annotated[Caller, Depends(allowed("device"))]) -> str:
    return caller.name


class _Static(StaticFiles):
    """The page's own files, asked for anew each time: a new version is used at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _answer(scope: Scope, refused: Refused) -> Response:
    wants_page = "text/html" in Headers(scope=scope).get("accept", "")
    return as_page(refused) if wants_page else as_json(refused)
