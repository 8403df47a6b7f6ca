"""Answers with a large object, which all clinics get: one copy is kept while it is sent to any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from threading import Lock
from weakref import WeakValueDictionary

from starlette.responses import Response, StreamingResponse

from dermafed.server.flower.private_names import PROTOBUF_MEDIA_TYPE, PullObjectResponse

LARGE = 256 * 2**10
"""Bytes from which on an answer is shared and sent in pieces."""

_PIECE = 32 * 2**10  # OpenSSL keeps a buffer of the largest for each connection, as long as that is open


class LargeAnswers:
    """The encoded answers that are being sent now; any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sending: WeakValueDictionary[str, _Encoded] = WeakValueDictionary()

    def again(self, object_id: str) -> Response | None:
        """The response that is being sent to another clinic; ``None``: none is."""
        with self._lock:
            encoded = self._sending.get(object_id)
        return None if encoded is None else _in_pieces(encoded)

    def response(self, object_id: str, found: PullObjectResponse) -> Response:
        """The response with an object of the server's own messages, whose id is the hash of its content."""
        encoded = _Encoded(found.SerializeToString())
        if len(encoded.content) < LARGE:
            return Response(encoded.content, media_type=PROTOBUF_MEDIA_TYPE)
        with self._lock:
            return _in_pieces(self._sending.setdefault(object_id, encoded))


class _Encoded:
    def __init__(self, content: bytes) -> None:
        self.content = content


def _in_pieces(encoded: _Encoded) -> Response:
    size = {"content-length": str(len(encoded.content))}
    return StreamingResponse(_pieces(encoded), headers=size, media_type=PROTOBUF_MEDIA_TYPE)


async def _pieces(encoded: _Encoded) -> AsyncIterator[memoryview]:
    content = memoryview(encoded.content)
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]
