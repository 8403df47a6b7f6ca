"""The reader of a page: the language, chosen or the browser's, and where the reader is."""

from __future__ import annotations

from contextvars import ContextVar

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.language.languages import NAMES, choose_language
from dermafed.client.clinic.language.speech import speak
from dermafed.shared.port.access_tokens import cookie_of

COOKIE = "__Host-language"
_SECONDS = 365 * 86_400
_PLACE: ContextVar[str] = ContextVar("place", default="/")


def place() -> str:
    """The address of the page that the reader asked for."""
    return _PLACE.get()


def speak_to(scope: Scope) -> None:
    """Speak the language of a request's reader for the rest of the request."""
    headers = Headers(scope=scope)
    speak(choose_language(cookie_of(headers, COOKIE), headers.get("accept-language", "")))
    query = scope["query_string"].decode("latin-1")
    shown = scope["path"] + (f"?{query}" if query else "")
    _PLACE.set(shown if scope["method"] == "GET" else "/")


async def speak_to_reader(request: Request) -> None:
    """A dependency of a route: the same."""
    speak_to(request.scope)


def language_router() -> APIRouter:
    """The route by which a reader chooses a language; the browser remembers it for a year."""
    router = APIRouter(include_in_schema=False, default_response_class=Response)

    @router.post("/language")
    async def choose(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=2)
        chosen, back = form.get("language"), form.get("back")
        if not isinstance(chosen, str) or chosen not in NAMES:
            remedy = f"Use one of {', '.join(NAMES)}"
            raise Refused("malformed", "There is no such language", where="language", remedy=remedy)
        own = isinstance(back, str) and back.startswith("/") and back[1:2] not in ("/", "\\")
        response = RedirectResponse(str(back) if own else "/", 303)
        response.set_cookie(COOKIE, chosen, max_age=_SECONDS, secure=True, httponly=True, samesite="strict")
        return response

    return router
