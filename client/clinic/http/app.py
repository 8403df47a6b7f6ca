"""Build the node's application: its routes, and the middleware that every request passes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.clinic.dicom.outbox import Outbox
from dermafed.client.clinic.dicom.stow import stow_router
from dermafed.client.clinic.http.access import (
    AuthenticationMiddleware,
    HostCheckMiddleware,
    SecurityHeadersMiddleware,
    require_role,
)
from dermafed.client.clinic.http.api import api_router, export_router
from dermafed.client.clinic.http.error_answers import ErrorMiddleware, refusal_json, translate_http_errors
from dermafed.client.clinic.http.lesions import lesion_router
from dermafed.client.clinic.http.limits import BodyLimitMiddleware, RateLimitMiddleware, WorkPool
from dermafed.client.clinic.http.model_facts import ModelFacts
from dermafed.client.clinic.http.monitoring import Metrics, MetricsMiddleware, monitoring_router
from dermafed.client.clinic.http.page import STATIC, page_router, refusal_page
from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.client.clinic.http.similar import similar_router
from dermafed.client.clinic.http.take_away import take_away_router
from dermafed.client.clinic.http.tokens import Caller, Sessions, Tokens
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService


def build_app(
    service: DiagnosticService,
    tokens: Tokens,
    facts: ModelFacts,
    settings: ServeSettings,
    hosts: Sequence[str] = (),
    outbox: Outbox | None = None,
) -> FastAPI:
    """Build the application; routers of other ways in may be added to it.

    The routes of such a router take ``Depends(require_role("device"))``, which gives the caller.
    Host check, limits and answers to errors apply to them too.

    Args:
        service: diagnoses and saves.
        tokens: of devices and clinicians.
        facts: what the page shows of the model.
        settings: the limits.
        hosts: names and addresses by which the node is reached, besides the settings'.
        outbox: of DICOM answers, if any are sent.
    """
    pool = WorkPool(settings.waiting)
    metrics = Metrics(service.diagnoser.model.used, pool, outbox)
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
        similar_router(service, pool),
        lesion_router(service.store, pool),
        stow_router(service, _sender, settings.max_body, run),
        monitoring_router(service.diagnoser, pool, metrics, outbox),
        take_away_router(service, pool, settings.impression_first),
        page_router(service, pool, sessions, facts, settings.impression_first),
    ):
        app.include_router(router)
    app.mount("/static", _Static(directory=STATIC))
    translate_http_errors(app)
    # What is added last, a request meets first.
    app.add_middleware(BodyLimitMiddleware, largest=settings.max_body, seconds=settings.upload_seconds)
    app.add_middleware(RateLimitMiddleware, per_minute=settings.requests_per_minute)
    app.add_middleware(AuthenticationMiddleware, tokens=tokens, sessions=sessions)
    app.add_middleware(HostCheckMiddleware, hosts=(*hosts, *settings.hosts))
    app.add_middleware(ErrorMiddleware, answer=partial(_answer, facts.synthetic))
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    app.add_middleware(SecurityHeadersMiddleware)
    return app


def _sender(caller: Annotated[Caller, Depends(require_role("device"))]) -> str:
    return caller.name


class _Static(StaticFiles):
    """The page's own files; browsers ask for them each time, so that a new version is used at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _answer(synthetic: bool, scope: Scope, refused: Refused) -> Response:
    wants_page = "text/html" in Headers(scope=scope).get("accept", "")
    return refusal_page(refused, synthetic) if wants_page else refusal_json(refused)
