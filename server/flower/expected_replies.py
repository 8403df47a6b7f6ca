"""What the server waits for from each clinic: a reply to an open message, of so many objects and bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from flwr.app import ArrayRecord, Message, MessageType

from dermafed.server.flower.private_names import ObjectTree, Proto, PushMessagesRequest, PushObjectRequest
from dermafed.shared.protocol.known_model import is_patched, model_bytes
from dermafed.shared.protocol.messages import HEAD_TRAIN, LESIONS_QUERY, SLOPES_TRAIN
from dermafed.shared.protocol.sum_messages import SUMMED

LARGEST_ENVELOPE = 64 * 2**10
"""Bytes of a reply's metadata or error, and of all that an update has besides its weights."""

LARGEST_COUNTS = 8 * 2**20
"""Bytes of a reply without weights; the histograms of 500 classes."""

LARGEST_HEAD = 32 * 2**20
"""Bytes of a reply with the sums of the exact head: those of 2,592 features, the most of any model, and 300
classes; the many classes of a smaller backbone. A lesion finder's have 1,926 features at most."""

_CHUNK = 5 * 2**20  # Flower cuts arrays into chunks of this size
_FEWEST_OBJECTS = 32  # a message, its records, their arrays and one chunk of each


@dataclass(frozen=True)
class SentObject:
    """An object of a reply, with the fields of Flower's request that sends one."""

    node: Proto
    run_id: int
    session_id: str
    object_id: str
    object_content: bytes


@dataclass
class _Expected:
    """An open message.

    Attributes:
        node: who has to answer it.
        bytes: most bytes of all objects that are sent in reply.
        sizes: bytes of each of them that has come; 0 for those that have not.
        refused: why something sent in reply was refused; empty: nothing was.
    """

    node: int
    bytes: int
    sizes: dict[str, int] = field(default_factory=dict)
    refused: str = ""

    @property
    def objects(self) -> int:
        """Most objects that are sent in reply."""
        return _FEWEST_OBJECTS + self.bytes // _CHUNK


class ExpectedReplies:
    """The open messages of all runs; any thread may ask.

    Attributes:
        lost: why the server could not keep what a clinic sent, such as a full disk; ``None``: it could.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.lost: OSError | None = None
        self._open: dict[str, _Expected] = {}
        self._of_node: defaultdict[int, dict[str, _Expected]] = defaultdict(dict)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write what a clinic sends; where that fails, the run learns why.

        Raises:
            OSError: it fails.
        """
        try:
            yield
        except OSError as error:
            self.lost = error
            raise

    def add(self, message_id: str, message: Message) -> None:
        """Expect a reply to a message that is about to be stored."""
        arrays = [record for record in message.content.values() if isinstance(record, ArrayRecord)]
        sent = sum(len(array.data) for record in arrays for array in record.values())
        if is_patched(message.content):
            sent += model_bytes(message.content)
        most = {
            MessageType.TRAIN: sent + LARGEST_ENVELOPE,
            SUMMED["train"]: sent + LARGEST_ENVELOPE,
            HEAD_TRAIN: LARGEST_HEAD,
            SLOPES_TRAIN: LARGEST_HEAD,
            LESIONS_QUERY: LARGEST_HEAD,
        }.get(message.metadata.message_type, LARGEST_COUNTS)
        with self._lock:
            expected = self._open[message_id] = _Expected(message.metadata.dst_node_id, most)
            self._of_node[expected.node][message_id] = expected

    def remove(self, message_id: str) -> None:
        """Expect no reply any more."""
        with self._lock:
            if expected := self._open.pop(message_id, None):
                del self._of_node[expected.node][message_id]

    def clear(self) -> None:
        """Expect nothing: the run is over."""
        with self._lock:
            self._open.clear()
            self._of_node.clear()

    def refusal(self, message_id: str) -> str:
        """Why something sent in reply to a message was refused; empty: nothing was."""
        with self._lock:
            expected = self._open.get(message_id)
            return "" if expected is None else expected.refused

    def refuse_message(self, pushed: PushMessagesRequest) -> str:
        """Why the announcement of a reply is refused; empty: it is not.

        One to a message that is not open, for example since its round is over, passes: Flower stores nothing
        of it.
        """
        if len(pushed.messages_list) != 1 or len(pushed.message_object_trees) != 1:
            return "a node replies once"
        message, tree = pushed.messages_list[0], pushed.message_object_trees[0]
        metadata, node = message.metadata, pushed.node.node_id
        if metadata.src_node_id != node or not metadata.reply_to_message_id:
            return "a node replies in its own name"
        if metadata.message_id != tree.object_id:
            return "the objects are not those of the reply"
        with self._lock:
            expected = self._open.get(metadata.reply_to_message_id)
            if expected is not None and expected.node != node:
                return "the message is another node's"
            if message.ByteSize() > LARGEST_ENVELOPE:
                return _refused(expected, "the reply's metadata are too long")
            if expected is None:
                return ""
            # With those of earlier announcements, so that many are no more than one.
            names = _names(tree, expected.objects)
            if names is None or len(names | expected.sizes.keys()) > expected.objects:
                return _refused(expected, f"the reply has more than {expected.objects} objects")
            expected.sizes = {name: expected.sizes.get(name, 0) for name in names | expected.sizes.keys()}
        return ""

    def refuse_object(self, pushed: PushObjectRequest | SentObject) -> str:
        """Why a reply's object is refused; empty: it is not."""
        if not pushed.session_id:
            return "an object belongs to a session"
        with self._lock:
            for expected in self._of_node[pushed.node.node_id].values():
                if pushed.object_id in expected.sizes:
                    sizes = {**expected.sizes, pushed.object_id: len(pushed.object_content)}
                    if sum(sizes.values()) > expected.bytes:
                        return _refused(expected, f"the reply is longer than {expected.bytes} bytes")
                    expected.sizes = sizes
                    return ""
        # Flower would write its name, which may be anything, into the log.
        return "no open message waits for this object"


def _refused(expected: _Expected | None, why: str) -> str:
    """Note that a reply will never be whole, so that nobody waits for it."""
    if expected is not None:
        expected.refused = why
    return why


def _names(tree: ObjectTree, most: int) -> set[str] | None:
    """The ids of a tree's objects; ``None`` where there are more than ``most``."""
    names = set()
    for count, node in enumerate(_nodes(tree), 1):
        if count > most:
            return None
        names.add(node.object_id)
    return names


def _nodes(tree: ObjectTree) -> Iterator[ObjectTree]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.children)
