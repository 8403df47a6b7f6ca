"""Who may see the dashboard: a browser on this machine, from the dashboard's own pages, with a token.

The port is plain HTTP on the loopback address. Against pages of other sites, and of other ports of this
machine, which a browser counts to the same site: the Host header, ``Sec-Fetch-Site`` and ``Origin``.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.server.dashboard.tokens import Tokens
from dermafed.shared.port.access_tokens import BrowserSessions, bearer_token, cookie_of, digest_of
from dermafed.shared.port.guarded_server import recognise

COOKIE = "dermafed-dashboard"
SIGN_IN = "/sign-in"
_STATIC = "/static/"
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Callers:
    """Those who have a token.

    Attributes:
        tokens: for ``Authorization: Bearer``.
        sessions: for browsers.
    """

    tokens: Tokens
    sessions: BrowserSessions[str]

    def name_of(self, headers: Headers) -> str | None:
        """Whose token or session a request has; ``None`` without a valid one."""
        if (token := bearer_token(headers)) is not None:
            return self.tokens.find_name(digest_of(token))
        return self.sessions.find(cookie_of(headers, COOKIE))


class Guard:
    """ASGI middleware: refuses strangers and other origins with an empty answer, and notes who calls.

    Args:
        app: the dashboard.
        callers: those who have a token.
    """

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app, self._callers = app, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403, 421, 401 or the way to the sign-in page."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] == "http":
            answer = self._refusal(scope) or self._app
            await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if _host(headers) not in _LOCAL:
            return Response(status_code=421)
        if is_of_another_origin(scope, headers):
            return Response(status_code=403)
        name = self._callers.name_of(headers)
        scope.setdefault("state", {})["name"] = name
        if name is not None:
            recognise(scope, name)
        elif scope["path"] != SIGN_IN and not scope["path"].startswith(_STATIC):
            wants_page = "text/html" in headers.get("accept", "")
            return RedirectResponse(SIGN_IN, 303) if wants_page else Response(status_code=401)
        return None


def is_of_another_origin(scope: Scope, headers: Headers) -> bool:
    """Whether a browser says that a page of another origin makes it send this."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] not in ("same-origin", "none")
    return headers.get("origin", own := f"{scope['scheme']}://{headers.get('host', '')}") != own


def _host(headers: Headers) -> str:
    """The Host header without its port."""
    host = headers.get("host", "").lower()
    return host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
