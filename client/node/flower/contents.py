"""The content of a message as bytes, for replies that are saved; Flower's names for it are not public."""

from __future__ import annotations

from flwr.app import RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto


def content_to_bytes(content: RecordDict) -> bytes:
    """A message's content."""
    return bytes(recorddict_to_proto(content).SerializeToString())


def content_from_bytes(content: bytes) -> RecordDict:
    """The content from :func:`content_to_bytes`; raises ValueError if it is damaged."""
    try:
        return recorddict_from_proto(RecordDictProto.FromString(content))
    except Exception as error:  # whatever protobuf says of bytes that are not its own
        raise ValueError("this is not the content of a message") from error
