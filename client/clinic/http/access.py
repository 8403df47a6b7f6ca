"""Access control: who sends a request, what each role may do, host names, and security headers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.http.tokens import COOKIE, Caller, Role, Sessions, Tokens
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.port.access_tokens import bearer_token, cookie_of, digest_of
from dermafed.shared.port.guarded_server import recognise

SAFE = ("GET", "HEAD", "OPTIONS")  # methods that change nothing

# No Strict-Transport-Security: it would apply to every other port of this host name too.
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


class AuthenticationMiddleware:
    """ASGI middleware that finds the caller by token or session; the routes check the role."""

    def __init__(self, app: ASGIApp, tokens: Tokens, sessions: Sessions) -> None:
        self._app, self._tokens, self._sessions = app, tokens, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the caller; refuse what another site makes a clinician's browser send (403)."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            token = bearer_token(headers)
            if token is None and scope["method"] not in SAFE and _is_cross_site(scope, headers):
                raise Refused(
                    "cross-site",
                    "This comes from the page of another site",
                    remedy="Use the page of this node",
                )
            caller = (
                self._sessions.find_caller(session_cookie(headers))
                if token is None
                else self._tokens.find_caller(digest_of(token))
            )
            if caller is not None:
                recognise(scope, caller.name)
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def caller_of(scope: Scope) -> Caller | None:
    """The caller, if it is known."""
    return cast("Caller | None", scope.get("state", {}).get("caller"))


def session_cookie(headers: Headers) -> str:
    """The cookie of the session; empty without one."""
    return cookie_of(headers, COOKIE)


def require_role(*roles: Role) -> Callable[[Request], Caller]:
    """A dependency of a route: the caller, who must have one of these roles."""

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


def _is_cross_site(scope: Scope, headers: Headers) -> bool:
    """Whether a browser sends this from the page of another site; a device sends none of these headers."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] != "same-origin"
    if "origin" in headers:
        return headers["origin"] != f"{scope['scheme']}://{headers.get('host', '')}"
    return bool(session_cookie(headers))


class SecurityHeadersMiddleware:
    """ASGI middleware: no cache stores an answer, no page frames it, and it loads nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add headers to its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class HostCheckMiddleware:
    """ASGI middleware against DNS rebinding: only requests to a known host name are answered."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, {host.lower() for host in (*hosts, *LOCAL)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it (421)."""
        if scope["type"] == "http" and _name(Headers(scope=scope).get("host", "")) not in self._hosts:
            raise Refused(
                "host-unknown",
                "This node does not have that host name",
                remedy="Add the name to hosts in the table [serve] of clinic.toml, and start again",
            )
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
