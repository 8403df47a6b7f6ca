"""Answer the calls that carry a message together with its objects, by Flower's own handlers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import HTTPException

from dermafed.server.flower.expected_replies import ExpectedReplies, SentObject
from dermafed.server.flower.node_objects import objects_of
from dermafed.server.flower.private_names import (
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
    PushObjectRequest,
    PushObjectResponse,
    fleet_handlers,
    iterate_object_tree,
)
from dermafed.server.flower.served_state import ServedState
from dermafed.shared.protocol.bundles import pack


@dataclass(frozen=True)
class BundledCalls:
    """Flower's handlers of messages and objects, over one state.

    Attributes:
        state: Flower's nodes, runs and messages.
        replies: what is expected from each node; all else is refused.
    """

    state: ServedState
    replies: ExpectedReplies

    def received(self, found: PullMessagesResponse) -> bytes:
        """The answer with a message and those of its objects that are in memory; the others are asked for."""
        names = [part.object_id for tree in found.message_object_trees for part in iterate_object_tree(tree)]
        small = {name: self.state.object_store.small(name) for name in names}
        return pack(found.SerializeToString(), {name: content for name, content in small.items() if content})

    def reply(self, announced: PushMessagesRequest, objects: Mapping[str, bytes]) -> PushMessagesResponse:
        """Take a reply, and what comes with it of its objects.

        Args:
            announced: the reply; whether it is expected has been checked.
            objects: content by id.

        Returns:
            Flower's answer; it names the objects that are missing.

        Raises:
            HTTPException: an object is refused.
        """
        node = announced.node
        with objects_of(node.node_id):
            answer: PushMessagesResponse = fleet_handlers.push_messages(announced, self.state)
            run_id, missing = announced.messages_list[0].metadata.run_id, list(answer.objects_to_push)
            for name in missing:
                if name in objects:
                    sent = SentObject(node, run_id, answer.session_id, name, objects[name])
                    if self._store(sent):
                        answer.objects_to_push.remove(name)
            return answer

    def objects(self, head: PushObjectRequest, objects: Mapping[str, bytes]) -> PushObjectResponse:
        """Take objects of a reply; the answer says whether all are stored.

        Raises:
            HTTPException: an object is refused.
        """
        with objects_of(head.node.node_id):
            sent = (
                SentObject(head.node, head.run_id, head.session_id, name, content)
                for name, content in objects.items()
            )
            return PushObjectResponse(stored=all(self._store(one) for one in sent))

    def _store(self, sent: SentObject) -> bool:
        if refusal := self.replies.refuse_object(sent):
            raise HTTPException(403, refusal)
        answer = fleet_handlers.push_object(sent, self.state)  # type: ignore[arg-type]
        return bool(answer.stored)
