"""Who asks: a device by its token, a clinician by a session; and what each may do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from typing import cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.http.tokens import COOKIE, Caller, Role, Sessions, Tokens, digest_of
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


# No Strict-Transport-Security: it would hold for every other port of this host's name too.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
LOCAL = ("localhost", "127.0.0.1", "::1")


class SecurityHeaders:
    """ASGI middleware: nothing is stored by a cache, framed, or fetched from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and adds to its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class KnownHosts:
    """ASGI middleware: a page of another name that resolves to this machine gets nothing."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, {host.lower() for host in (*hosts, *LOCAL)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it (421)."""
        if scope["type"] == "http" and _name(Headers(scope=scope).get("host", "")) not in self._hosts:
            raise Refused(
                "host-unknown",
                "This node does not answer to that name",
                remedy="Add the name to hosts in the table [serve] of clinic.toml, and start again",
            )
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
