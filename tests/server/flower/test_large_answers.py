"""An answer with a large object is there once, however many clinics get it, and as long as one does."""

from __future__ import annotations

import asyncio
import gc

from starlette.responses import Response
from starlette.types import Message

from dermafed.server.flower.large_answers import LARGE, LargeAnswers
from dermafed.server.flower.private_names import PullObjectResponse


def found(size: int) -> PullObjectResponse:
    return PullObjectResponse(object_found=True, object_available=True, object_content=bytes(size))


def sent(response: Response) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    asyncio.run(response(scope, receive, send))
    return messages


def test_a_small_answer_is_kept_for_nobody() -> None:
    answers = LargeAnswers()
    response = answers.response("one", found(1000))
    assert response.body == found(1000).SerializeToString()
    assert answers.again("one") is None


def test_a_large_one_is_sent_in_pieces_and_again_without_a_copy() -> None:
    answers = LargeAnswers()
    first = answers.response("one", found(LARGE))
    again = answers.again("one")
    assert again is not None
    expected = found(LARGE).SerializeToString()
    bodies = [[message["body"] for message in sent(each)[1:]] for each in (first, again)]
    for pieces in bodies:
        assert b"".join(pieces) == expected
        assert max(map(len, pieces)) <= LARGE // 8
    assert first.headers["content-length"] == str(len(expected))
    assert bodies[0][0].obj is bodies[1][0].obj


def test_it_goes_with_the_last_response() -> None:
    answers = LargeAnswers()
    first = answers.response("one", found(LARGE))
    second = answers.response("one", found(LARGE))
    del first
    gc.collect()
    assert answers.again("one") is not None
    del second
    gc.collect()
    assert answers.again("one") is None
