"""The parts of a clinic's reply: announced, sent, read together; the first byte says which of these."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import Message, RecordDict
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import PushObjectRequest
from flwr.proto.node_pb2 import Node
from google.protobuf.message import DecodeError

from dermafed.server.flower.expected_replies import LARGEST_ENVELOPE, ExpectedReplies
from dermafed.server.flower.private_names import (
    become_task,
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
    inflate,
    label,
    no_object_id_recompute,
    remove_content_from_message,
    validate_object_content,
)
from tests.fuzzing import replies
from tests.fuzzing.target import outcome

NODE, SESSION = 7, "session"


def _reply(content: RecordDict) -> Message:
    """A clinic's reply to the open message."""
    become_task(1, 1)
    asked = Message(replies.REPLIES[0], NODE, "train")
    asked.metadata.__dict__["_message_id"] = "asked"
    reply = Message(content, reply_to=asked)
    with no_object_id_recompute():
        label(reply)
    return reply


REPLIES = tuple(_reply(content) for content in replies.REPLIES)
with no_object_id_recompute():
    OBJECTS = tuple(
        {name: part.deflate() for name, part in get_all_nested_objects(reply).items()} for reply in REPLIES
    )
    ANNOUNCED = PushMessagesRequest(
        node=Node(node_id=NODE),
        messages_list=[message_to_proto(remove_content_from_message(REPLIES[0]))],
        message_object_trees=[get_object_tree(REPLIES[0])],
    ).SerializeToString()


def announced(data: bytes) -> str:
    expected = _expected()
    pushed = PushMessagesRequest.FromString(data)
    refused = expected.refuse_message(pushed)
    for each in expected._open.values():
        assert len(each.sizes) <= each.objects
    assert refused or pushed.messages_list[0].ByteSize() <= LARGEST_ENVELOPE
    return "refused" if refused else "received"


def sent(data: bytes) -> str:
    expected = _expected()
    expected.refuse_message(PushMessagesRequest.FromString(ANNOUNCED))
    pushed = PushObjectRequest.FromString(data)
    refused = [bool(expected.refuse_object(pushed)) for _ in range(3)]
    for each in expected._open.values():
        assert sum(each.sizes.values()) <= each.bytes
    assert len(set(refused)) == 1  # an object again, after a lost connection, is no more than one
    return "refused" if refused[0] else "received"


def read(data: bytes) -> str:
    """As the grid reads a reply, of which one object is another; then as the server decodes it."""
    kind, which, changed = data[0] % len(OBJECTS), data[1], data[2:]
    contents = dict(OBJECTS[kind])
    name = sorted(contents)[which % len(contents)]
    if which < 128:  # with a right head, else hardly any would be read
        head = contents[name].split(b"\0", 1)[0].rsplit(b" ", 1)[0]
        changed = b"%s %d\0%s" % (head, len(changed), changed)
    contents[name] = changed
    try:
        validate_object_content(content=changed)
        get_object_id(changed)
        message = inflate(REPLIES[kind].metadata.message_id, contents)
        content = message.content
    except Exception as error:  # as the grid does
        return f"unreadable, {type(error).__name__}"
    return replies.READERS[kind](content)


def _expected() -> ExpectedReplies:
    expected = ExpectedReplies()
    message = Message(replies.REPLIES[0], NODE, "train")
    expected.add("asked", message)
    return expected


WAYS: tuple[Callable[[bytes], str], ...] = (announced, sent, read)


def take(data: bytes) -> str:
    way = data[0] % len(WAYS) if data else 0
    try:
        return outcome(WAYS[way], data[1:].ljust(2, b"\0") if way == 2 else data[1:])
    except DecodeError:
        return "no message"


def seeds() -> list[bytes]:
    name, content = next(iter(OBJECTS[0].items()))
    pushed = PushObjectRequest(
        node=Node(node_id=NODE), run_id=1, object_id=name, object_content=content, session_id=SESSION
    )
    parts = [
        bytes([2, kind, which]) + contents[name].split(b"\0", 1)[1]
        for kind, contents in enumerate(OBJECTS)
        for which, name in enumerate(sorted(contents))
    ]
    return [b"\0" + ANNOUNCED, b"\1" + pushed.SerializeToString(), *parts]
