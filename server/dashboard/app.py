"""The dashboard's app: its routes, each of which reads the folder anew."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dermafed.server.coordinator.federation_folder import RECORD
from dermafed.server.dashboard.access import COOKIE, SIGN_IN, Callers, Guard
from dermafed.server.dashboard.counts import count_facts
from dermafed.server.dashboard.live import events
from dermafed.server.dashboard.models import card_of, differences, saved_models
from dermafed.server.dashboard.overview import overview
from dermafed.server.dashboard.pages import STATIC, render
from dermafed.server.dashboard.run_facts import run_facts
from dermafed.server.dashboard.tokens import TOKENS, Tokens, sessions_of
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import find_run
from dermafed.shared.errors import DermaFedError, InputError
from dermafed.shared.port.access_tokens import BrowserSessions, cookie_of

Unseen = Callable[[], Collection[str]]
"""Names of the clinics that have never connected."""

_LONGEST_FORM = 1000


def dashboard_app(folder: Path, unseen: Unseen = lambda: ()) -> Starlette:
    """The dashboard of a federation's folder; it changes nothing there.

    Args:
        folder: the federation's folder.
        unseen: called for the first page.
    """
    tokens = Tokens(folder / TOKENS)
    callers = Callers(tokens, sessions_of(tokens))
    return Starlette(
        routes=[*_sign_in_routes(callers.sessions), *_page_routes(folder, unseen, callers)],
        middleware=[Middleware(Guard, callers=callers)],
        exception_handlers={404: _missing, InputError: _missing, DermaFedError: _failed},
    )


def _sign_in_routes(sessions: BrowserSessions[str]) -> list[Route]:
    def show(request: Request) -> Response:
        if request.state.name is not None:
            return RedirectResponse("/", 303)
        return render("sign_in.html", wrong=False)

    async def sign_in(request: Request) -> Response:
        body = (await request.body())[:_LONGEST_FORM].decode("ascii", "replace")
        cookie = sessions.sign_in(parse_qs(body).get("token", [""])[0].strip())
        if cookie is None:
            return render("sign_in.html", status=401, wrong=True)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, cookie, max_age=int(sessions.seconds), httponly=True, samesite="strict")
        return response

    def sign_out(request: Request) -> Response:
        sessions.sign_out(cookie_of(request.headers, COOKIE))
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return [
        Route(SIGN_IN, show),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    ]


def _page_routes(folder: Path, unseen: Unseen, callers: Callers) -> list[Route | Mount]:
    record = Record(folder / RECORD)

    def first(request: Request) -> Response:
        facts = overview(record, folder, unseen())
        return render("overview.html", name=request.state.name, here="/", facts=facts)

    def run(request: Request) -> Response:
        chosen = request.query_params.get("clinic", "")
        found = find_run(record, str(request.path_params["number"]))
        facts = run_facts(record, folder, found, chosen=chosen)
        return render("run.html", name=request.state.name, facts=facts, run=found, chosen=chosen)

    def models(request: Request) -> Response:
        found = saved_models(record, folder)
        return render("models.html", name=request.state.name, here="/models", models=found)

    def card(request: Request) -> Response:
        found = find_run(record, str(request.path_params["number"]))
        return render("card.html", name=request.state.name, run=found, card=card_of(record, found))

    def compare(request: Request) -> Response:
        first, second = (find_run(record, request.query_params.get(side, "")) for side in "ab")
        found = differences(record, (first, second))
        return render("compare.html", name=request.state.name, runs=(first, second), found=found)

    def counts(request: Request) -> Response:
        return render("counts.html", name=request.state.name, here="/counts", facts=count_facts(folder))

    async def news(request: Request) -> Response:
        stream = events(folder, lambda: callers.name_of(request.headers) is not None)
        return StreamingResponse(stream, media_type="text/event-stream")

    return [
        Route("/", first),
        Route("/runs/{number:int}", run),
        Route("/models", models),
        Route("/models/compare", compare),
        Route("/models/{number:int}", card),
        Route("/counts", counts),
        Route("/events", news),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _missing(request: Request, error: Exception) -> Response:
    text = str(error) if isinstance(error, InputError) else "There is no such page."
    return render("error.html", status=404, name=request.state.name, text=text)


def _failed(request: Request, error: Exception) -> Response:
    return render("error.html", status=503, name=request.state.name, text=str(error))
