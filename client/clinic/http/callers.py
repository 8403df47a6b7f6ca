"""Who asks: a device by its token, a clinician by a session; and what each may do."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import cast

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dermafed.client.clinic.http.sessions import COOKIE, Sessions
from dermafed.client.clinic.http.tokens import Caller, Role, Tokens, digest_of
from dermafed.client.clinic.intake.refusals import Refused

SAFE = ("GET", "HEAD", "OPTIONS")


class Callers:
    """ASGI middleware that finds out who asks; the routes decide what that one may do."""

    def __init__(self, app: ASGIApp, tokens: Tokens, sessions: Sessions) -> None:
        self._app, self._tokens, self._sessions = app, tokens, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notes the caller; refuses what another site makes a clinician's browser send (403)."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            kind, _, token = headers.get("authorization", "").partition(" ")
            bearer = kind.lower() == "bearer"
            if not bearer and scope["method"] not in SAFE and _from_elsewhere(scope, headers):
                raise Refused(
                    "cross-site", "This came from another site's page", remedy="Use this node's own page"
                )
            caller = (
                self._tokens.whose(digest_of(token.strip()))
                if bearer
                else self._sessions.whose(cookie_of(headers))
            )
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def caller_of(scope: Scope) -> Caller | None:
    """Who asks, if it is known."""
    return cast("Caller | None", scope.get("state", {}).get("caller"))


def cookie_of(headers: Headers) -> str:
    """The session's cookie; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def allowed(*roles: Role) -> Callable[[Request], Caller]:
    """A dependency of a route: who asks, if it has one of these roles."""

    def check(request: Request) -> Caller:
        caller = caller_of(request.scope)
        if caller is None:
            raise _unknown(request.headers)
        if caller.role not in roles:
            raise Refused(
                "role", f"A {caller.role} may not do this", remedy=f"Use a {' or '.join(roles)}'s token"
            )
        return caller

    return check


def _unknown(headers: Headers) -> Refused:
    remedy = "Send 'Authorization: Bearer TOKEN'; fl-client token makes one"
    if "authorization" in headers:
        return Refused("token-unknown", "This token is not valid", remedy=remedy)
    return Refused("token-missing", "There is no token", remedy=remedy)


def _from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Whether a browser sends this from the page of another site; a device shows no mark of a browser."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] != "same-origin"
    if "origin" in headers:
        return headers["origin"] != f"{scope['scheme']}://{headers.get('host', '')}"
    return bool(cookie_of(headers))
