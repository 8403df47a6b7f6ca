"""Answer errors: what went wrong and what to do, and nothing of a patient or of the code."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from contextlib import suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.client.clinic.intake.refusals import Refused, refusal_of
from dermafed.shared.errors import InputError, StorageError

Answer = Callable[[Scope, Refused], Response]
"""How a refusal is answered: as JSON to a program, as a page to a person."""

_DRAIN_SECONDS, _DRAIN_BYTES = 2.0, 2**26
_HTTP = {
    404: ("not-found", "There is nothing here", "Check the address"),
    405: ("method-not-allowed", "This cannot be done here", "Check the method"),
}

log = logging.getLogger("dermafed.serving")


class ErrorMiddleware:
    """ASGI middleware that answers every exception of the application."""

    def __init__(self, app: ASGIApp, answer: Answer) -> None:
        self._app, self._answer = app, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and answer in its place where that fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, more = False, True

        async def noted_receive() -> Message:
            nonlocal more
            message = await receive()
            more = message.get("more_body", False)
            return message

        async def noted_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, noted_receive, noted_send)
        except ClientDisconnect:
            return  # there is nobody to answer
        except Exception as error:
            if started:
                raise ConnectionAbortedError from None  # half an answer is out: uvicorn closes the connection
            log_failure(error)
            response = self._answer(scope, refusal_of(error))
            if more and _has_body(scope):
                await _drain(scope, receive)
                response.headers["connection"] = "close"
            await response(scope, receive, send)


def log_failure(error: Exception) -> None:
    """Log what is the node's own fault: never a message or a value, either of which could be a patient's."""
    if isinstance(error, StorageError):
        log.error("%s", error)
    elif not isinstance(error, InputError):
        frames = traceback.extract_tb(error.__traceback__)[:-6:-1]
        where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
        log.error("%s at %s", type(error).__name__, where)


def refusal_json(refused: Refused) -> Response:
    """A refusal for programs."""
    response = JSONResponse(refused.to_dict(), refused.status)
    if refused.retry_after is not None:
        response.headers["retry-after"] = str(refused.retry_after)
    if refused.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def translate_http_errors(app: FastAPI) -> None:
    """Translate the framework's own errors into refusals."""

    def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, what, remedy = _HTTP.get(
            error.status_code, ("malformed", "The request is malformed", "Correct it")
        )
        raise Refused(code, what, remedy=remedy, status=error.status_code) from None

    def refuse_values(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # The field only: a message or a value could repeat what is a patient's.
        fields = ", ".join(sorted({".".join(map(str, each["loc"][1:])) or "body" for each in error.errors()}))
        raise Refused("malformed", f"Unusable: {fields}", remedy="See /v1/openapi.json") from None

    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(RequestValidationError, refuse_values)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _drain(scope: Scope, receive: Receive) -> None:
    """Read on for a moment: a client that is cut off while it sends would not read the answer."""
    if "expect" in Headers(scope=scope):
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            taken, more = 0, True
            while more and taken < _DRAIN_BYTES:
                message = await receive()
                taken, more = taken + len(message.get("body", b"")), message.get("more_body", False)
