"""Sign a node's first call, and tag the others with the secret that the server answers."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

import httpx
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from dermafed.shared.protocol.call_sessions import NEW, SESSION, TAG, Secret


class SessionCalls(NodeAuthHttpInterceptor):
    """Flower's signatures, where there is no session yet or the server does not know it any more."""

    _secret: Secret | None = None
    _numbers = count()

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Make a call; after 401 or a broken connection the next one is signed."""
        secret, request = self._secret, context.request
        if secret is None:
            return self._signed(context, call_next)
        call = f"{secret.name} {datetime.now(UTC).isoformat()} {next(self._numbers)}"
        request.headers.update({SESSION: call, TAG: secret.tag(request.url.path, call)})
        try:
            answer = call_next(context)
        except httpx.TransportError:
            self._secret = None
            raise
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            return answer
        answer.close()
        return self._signed(context, call_next)

    def _signed(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.headers.pop(TAG, None)
        context.request.headers[SESSION] = NEW
        answer = super().intercept(context, call_next)
        self._secret = None
        with suppress(KeyError, ValueError):  # of a server that has no sessions
            self._secret = Secret.parse(answer.headers[SESSION])
        return answer
