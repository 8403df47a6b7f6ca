"""The clinician's page: signing in, an image, its diagnosis, the day's list, and the model."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dermafed.client.clinic.answers.codes import alert_sentence, display_name
from dermafed.client.clinic.answers.lesion_text import LESION_CAVEAT, lesion_rows
from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.clinic.http.access import caller_of, session_cookie
from dermafed.client.clinic.http.api import Clinician, view_diagnosis
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.model_facts import ModelFacts
from dermafed.client.clinic.http.tokens import COOKIE, Caller, Sessions
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.opinions import CONFIRMATIONS, OTHER

_NOT_A_CLINICIAN = "This token is not a clinician's, or it was revoked."
_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def page_router(
    service: DiagnosticService, pool: WorkPool, sessions: Sessions, facts: ModelFacts
) -> APIRouter:
    """The page's routes.

    Args:
        service: has the diagnoses.
        pool: runs what takes long.
        sessions: sessions of the clinicians.
        facts: what is known of the model.
    """
    router = APIRouter(include_in_schema=False, default_response_class=Response)
    store = service.store

    @router.get("/sign-in")
    async def show_sign_in(request: Request) -> Response:
        if caller_of(request.scope) is not None:
            return RedirectResponse("/", 303)
        return render("sign_in.html", error="")

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        token = (await request.form(max_files=0, max_fields=4)).get("token")
        cookie = sessions.sign_in(token.strip()) if isinstance(token, str) else None
        if cookie is None:
            return render("sign_in.html", status=401, error=_NOT_A_CLINICIAN)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, cookie, max_age=int(sessions.seconds), secure=True, httponly=True, samesite="strict"
        )
        return response

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        sessions.sign_out(session_cookie(request.headers))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
        return response

    @router.get("/")
    async def new_image(caller: Clinician) -> Response:
        return render("new.html", caller=caller)

    @router.get("/diagnoses/{id}")
    async def diagnosis(id: str, caller: Clinician) -> Response:
        found = await pool.run(view_diagnosis, store, id, caller)
        opinions = await pool.run(store.list_opinions, id)
        views = await pool.run(store.list_views, id)
        return render(
            "diagnosis.html", caller=caller, diagnosis=found, opinions=opinions, views=views, facts=facts,
            confirmations=CONFIRMATIONS, other=OTHER,
        )  # fmt: skip

    @router.get("/day")
    async def today(caller: Clinician) -> Response:
        return await _day(date.today(), caller)

    @router.get("/day/{day}")
    async def on_day(day: date, caller: Clinician) -> Response:
        return await _day(day, caller)

    @router.get("/model")
    async def model(caller: Clinician) -> Response:
        return render("model.html", caller=caller, facts=facts)

    async def _day(day: date, caller: Caller) -> Response:
        found = await pool.run(store.list_day, day)
        damaged = await pool.run(store.list_damaged, day)
        return render(
            "day.html", caller=caller, day=day, found=found, damaged=damaged, before=_days_on(day, -1),
            after=_days_on(day, 1), today=date.today(),
        )  # fmt: skip

    return router


def refusal_page(refused: Refused) -> Response:
    """A refusal for people; a visitor who is not signed in is sent to the sign-in page."""
    if refused.status == 401:
        return RedirectResponse("/sign-in", 303)
    return render("error.html", status=refused.status, refused=refused)


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page.

    Args:
        template: file name in ``templates``.
        status: HTTP status of the answer.
        values: what the template uses; ``caller`` is the clinician who is signed in.
    """
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status)


def _days_on(day: date, days: int) -> date | None:
    """A day so many days later, if Python knows it."""
    try:
        return day + timedelta(days)
    except OverflowError:
        return None


def percent(probability: float) -> str:
    """A probability for people: no more digits than are meaningful, and never certain."""
    if probability < 0.01:
        return "< 1 %"
    if probability > 0.99:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def local(time: str) -> datetime:
    """A diagnosis' time, on this machine's clock."""
    return datetime.fromisoformat(time).astimezone()


_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    percent=percent, spaced=display_name, local=local, alert=alert_sentence, measured=lesion_rows
)
_TEMPLATES.globals.update(USE=USE, lesion_caveat=LESION_CAVEAT, caller=None)
