"""The clinician's page: signing in, an image, its diagnosis, the day's list, and the model."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from string import hexdigits
from typing import Any

from fastapi import APIRouter, Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dermafed.client.clinic.answers.lesion_text import LESION_CAVEAT, lesion_rows
from dermafed.client.clinic.answers.melanoma_line import UNRELIABLE, melanoma_line
from dermafed.client.clinic.answers.other_model import other_model
from dermafed.client.clinic.answers.percent import percent
from dermafed.client.clinic.http.access import caller_of, session_cookie
from dermafed.client.clinic.http.api import Clinician, view_diagnosis
from dermafed.client.clinic.http.lesions import lesion_page_router
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.model_facts import ModelFacts
from dermafed.client.clinic.http.reader import language_router, place, speak_to_reader
from dermafed.client.clinic.http.tokens import COOKIE, Caller, Sessions
from dermafed.client.clinic.http.worklist import has_seen, worklist_of_day
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.language import speech
from dermafed.client.clinic.language.languages import NAMES, Language
from dermafed.client.clinic.language.refusals import refusals_for_scripts, tell_refusal
from dermafed.client.clinic.language.speech import N_
from dermafed.client.clinic.language.stored import retell
from dermafed.client.clinic.language.terms import SITES, term
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.lesions import read_lesion
from dermafed.client.clinic.store.opinions import CONFIRMATIONS, OTHER

_NOT_A_CLINICIAN = N_("This token is not a clinician's, or it was revoked.")
_SHORTEST_ID = 4  # digits of an id to search by
_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def page_router(
    service: DiagnosticService,
    pool: WorkPool,
    sessions: Sessions,
    facts: ModelFacts,
    impression_first: bool = True,
) -> APIRouter:
    """The page's routes.

    Args:
        service: has the diagnoses.
        pool: runs what takes long.
        sessions: sessions of the clinicians.
        facts: what is known of the model.
        impression_first: whether a clinician's own impression comes before the model's answer.
    """
    router = APIRouter(
        include_in_schema=False, default_response_class=Response, dependencies=[Depends(speak_to_reader)]
    )
    router.include_router(language_router())
    render = partial(_render, synthetic=facts.synthetic)
    store = service.store
    router.include_router(lesion_page_router(store, pool, render, impression_first))

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
        response.headers["clear-site-data"] = '"storage"'  # the names of files
        return response

    @router.get("/")
    async def new_image(caller: Clinician, lesion: str = "") -> Response:
        return render("new.html", caller=caller, lesion=read_lesion(lesion))

    @router.get("/diagnoses/{id}")
    async def diagnosis(id: str, caller: Clinician) -> Response:
        found = await pool.run(view_diagnosis, store, id, caller)
        opinions = await pool.run(store.list_opinions, id)
        impressions = await pool.run(store.list_impressions, id)
        if not has_seen(caller.name if impression_first else None, opinions, impressions):
            return render("impression.html", caller=caller, diagnosis=found, facts=facts, other=OTHER)
        views = await pool.run(store.list_views, id)
        lesion = await pool.run(store.lesions.lesion_of, id)
        kinds = await pool.run(service.dicom_kinds, id)
        return render(
            "diagnosis.html", caller=caller, diagnosis=found, opinions=opinions, views=views, facts=facts,
            confirmations=CONFIRMATIONS, other=OTHER, impressions=impressions, lesion=lesion, kinds=kinds,
            earlier=local(found.time).date() != date.today(),
        )  # fmt: skip

    @router.post("/diagnoses/{id}/impression")
    async def give_impression(id: str, request: Request, caller: Clinician) -> Response:
        label = (await request.form(max_files=0, max_fields=1)).get("label")
        if not isinstance(label, str):
            raise Refused("opinion", "There is no impression", where="label", remedy="Choose one")
        await pool.run(store.add_impression, id, caller.name, label or None)
        return RedirectResponse(f"/diagnoses/{id}", 303)

    @router.get("/day")
    async def today(caller: Clinician, show: str = "all") -> Response:
        return await _day(date.today(), caller, show)

    @router.get("/day/{day}")
    async def on_day(day: date, caller: Clinician, show: str = "all") -> Response:
        return await _day(day, caller, show)

    @router.get("/search")
    async def search(caller: Clinician, id: str = "") -> Response:
        asked = id.strip().lower()
        lesion = read_lesion(asked)
        if lesion is not None and (asked.startswith("l") or len(asked) < _SHORTEST_ID):
            return RedirectResponse(f"/lesions/{lesion}", 303)
        usable = len(asked) >= _SHORTEST_ID and set(asked) <= set(hexdigits)
        found = await pool.run(store.find_ids, asked) if usable else []
        if len(found) == 1:
            return RedirectResponse(f"/diagnoses/{found[0]}", 303)
        return render("search.html", caller=caller, asked=asked, found=found, shortest=_SHORTEST_ID)

    @router.get("/model")
    async def model(caller: Clinician) -> Response:
        return render("model.html", caller=caller, facts=facts)

    async def _day(day: date, caller: Caller, show: str) -> Response:
        who = caller.name if impression_first else None
        found = await pool.run(worklist_of_day, store, day, show, who)
        damaged = await pool.run(store.list_damaged, day)
        return render(
            "day.html", caller=caller, day=day, list=found, damaged=damaged, today=date.today(),
            before=_days_on(day, -1), after=_days_on(day, 1),
        )  # fmt: skip

    return router


def refusal_page(refused: Refused, synthetic: bool = False) -> Response:
    """A refusal for people; a visitor who is not signed in is sent to the sign-in page.

    Args:
        refused: why there is no answer.
        synthetic: whether the model in use was trained on drawn images.
    """
    if refused.status == 401:
        return RedirectResponse("/sign-in", 303)
    says = tell_refusal(refused.code, f"{refused.what}. {refused.remedy}.")
    return _render("error.html", status=refused.status, says=says, synthetic=synthetic)


def _render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page.

    Args:
        template: file name in ``templates``.
        status: HTTP status of the answer.
        values: what the template uses; ``caller`` is the clinician who is signed in, ``synthetic`` whether
            the model was trained on drawn images.
    """
    language = speech.current()
    own = {"language": language, "place": place(), "words": _words(language)}
    return HTMLResponse(_TEMPLATES.get_template(template).render(own | values), status)


def _words(language: Language) -> dict[str, Any]:
    """What the page carries for its scripts; English is in them."""
    if not language.for_scripts:
        return {}
    return {"messages": language.for_scripts, "refusals": refusals_for_scripts()}


def _days_on(day: date, days: int) -> date | None:
    """A day so many days later, if Python knows it."""
    try:
        return day + timedelta(days)
    except OverflowError:
        return None


def local(time: str) -> datetime:
    """A diagnosis' time, on this machine's clock."""
    return datetime.fromisoformat(time).astimezone()


@pass_context
def _spaced(_: Context, name: str) -> str:
    """A word in the reader's language: without the context, Jinja would keep what it makes of constants."""
    return term(name)


_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.i18n"],
)
_TEMPLATES.policies |= {"ext.i18n.trimmed": True, "json.dumps_kwargs": {"ensure_ascii": False}}
_TEMPLATES.install_gettext_callables(speech.find_message, speech.find_form, newstyle=True)  # type: ignore[attr-defined]
_TEMPLATES.filters.update(
    percent=percent, spaced=_spaced, local=local, melanoma=melanoma_line, measured=lesion_rows, retell=retell,
    number=speech.number, day=speech.day, weekday=speech.weekday, day_of_year=speech.day_of_year,
    clock=speech.clock,
)  # fmt: skip
_TEMPLATES.globals.update(
    lesion_caveat=LESION_CAVEAT,
    unreliable=UNRELIABLE,
    sites=SITES,
    languages=NAMES,
    caller=None,
    other_model=other_model,
)
