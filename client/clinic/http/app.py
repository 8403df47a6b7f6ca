"""The node's application: its routes, and what every request passes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.clinic.http.answers import answers_router, dicom_in
from dermafed.client.clinic.http.api import api_router
from dermafed.client.clinic.http.body import BodyLimit
from dermafed.client.clinic.http.callers import Callers
from dermafed.client.clinic.http.diagnosis_service import Desk
from dermafed.client.clinic.http.failures import Failures, as_json, say_what_http_refuses
from dermafed.client.clinic.http.metrics import Counted, Figures
from dermafed.client.clinic.http.model_facts import ModelFacts
from dermafed.client.clinic.http.page import as_page, page_router
from dermafed.client.clinic.http.rate import RateLimited
from dermafed.client.clinic.http.rendering import STATIC
from dermafed.client.clinic.http.security_headers import KnownHosts, SecurityHeaders
from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.client.clinic.http.sessions import Sessions
from dermafed.client.clinic.http.state import state_router
from dermafed.client.clinic.http.thread_pool import Work
from dermafed.client.clinic.http.tokens import Tokens
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store


def build_app(
    service: DiagnosticService,
    store: Store,
    tokens: Tokens,
    facts: ModelFacts,
    settings: ServeSettings,
    hosts: Sequence[str] = (),
) -> FastAPI:
    """The application; routers of other ways in may be added to it.

    Such a router's routes take ``Depends(callers.allowed("device"))``, whose value tells who sends.
    Everything else (hosts, limits, answers to what is raised) holds for them too.

    Args:
        service: diagnoses and keeps.
        store: where that keeps.
        tokens: of devices and clinicians.
        facts: what the page tells of the model.
        settings: the limits.
        hosts: names and addresses by which the node is reached, beside the settings' and this machine's.
    """
    work = Work(settings.waiting)
    figures = Figures(service.diagnoser.model.used, work)
    sessions = Sessions(tokens, 3600 * settings.session_hours)
    desk = Desk(service, store, work, figures)

    app = FastAPI(
        title="DermaFed", version="1", description=USE,
        openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    for router in (
        api_router(desk),
        answers_router(desk),
        dicom_in(desk, settings.max_body),
        state_router(desk),
        page_router(desk, sessions, facts),
    ):
        app.include_router(router)
    app.mount("/static", _Static(directory=STATIC))
    say_what_http_refuses(app)
    # What is added last, a request meets first.
    app.add_middleware(BodyLimit, largest=settings.max_body, seconds=settings.upload_seconds)
    app.add_middleware(RateLimited, per_minute=settings.requests_per_minute)
    app.add_middleware(Callers, tokens=tokens, sessions=sessions)
    app.add_middleware(KnownHosts, hosts=(*hosts, *settings.hosts))
    app.add_middleware(Failures, answer=_answer)
    app.add_middleware(Counted, figures=figures)
    app.add_middleware(SecurityHeaders)
    return app


class _Static(StaticFiles):
    """The page's own files, asked for anew each time: a new version is used at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _answer(scope: Scope, refused: Refused) -> Response:
    wants_page = "text/html" in Headers(scope=scope).get("accept", "")
    return as_page(refused) if wants_page else as_json(refused)
