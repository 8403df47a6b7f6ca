"""A server on the wire, and clinics that call it as a node does, or otherwise."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event

import httpx
import numpy as np
from flwr.app import Message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import ObjectTree, PushObjectRequest, PushObjectResponse
from flwr.proto.node_pb2 import Node

from dermafed.server.coordinator.listener import listening
from dermafed.server.flower.fleet_api import fleet_only
from dermafed.server.flower.grid import LinkGrid
from dermafed.server.flower.link import Link
from dermafed.server.flower.private_names import (
    get_all_nested_objects,
    get_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from dermafed.shared.protocol.messages import encode_instruction
from dermafed.shared.training.trainer import FloatVector
from tests.server.flower.link_side import Caller, make_certificates, new_key, public_pem, received, stock_app

FOUR = np.ones(4, np.float32)


class Place:
    """A server with two clinics, and a stock one beside it, over the same state of Flower."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, self.certificate = make_certificates(folder)
        self.link = Link(folder / "objects")
        self.stock = stock_app(self.link)
        self.keys = [new_key(), new_key()]
        self.nodes = [self.link.register(f"clinic {i}", public_pem(key)) for i, key in enumerate(self.keys)]
        for node in self.nodes:
            self.link.state.activate_node(node, 1800.0)

    def public(self) -> AbstractContextManager[int]:
        """The server's own port, which only nodes may use, while it listens."""
        return listening(fleet_only(self.link), "127.0.0.1", 0, self.certificate)

    def caller(self, clinic: int, port: int) -> Caller:
        return Caller(port, self.ca, self.keys[clinic])

    def grid(self, run_id: int) -> LinkGrid:
        return self.link.grid(run_id, {node: f"clinic {i}" for i, node in enumerate(self.nodes)}, Event())

    def asked(
        self, grid: LinkGrid, clinic: int, kind: str = "query.prepare", weights: FloatVector = FOUR
    ) -> tuple[str, Message]:
        """A message to a clinic, as it has it."""
        content = encode_instruction(weights, 1, {})
        (key,) = grid.push_messages([Message(content, self.nodes[clinic], kind)])
        self.link.state.get_message_ins(self.nodes[clinic], 1)
        return key, received(self.link, key)

    def announce(
        self, clinic: int, port: int, reply: Message, tree: ObjectTree | None = None
    ) -> httpx.Response:
        """A clinic says which objects its reply has."""
        with no_object_id_recompute():
            label(reply)
            own = get_object_tree(reply)
        request = PushMessagesRequest(
            node=Node(node_id=self.nodes[clinic]),
            messages_list=[message_to_proto(remove_content_from_message(reply))],
            message_object_trees=[tree or own],
        )
        return self.caller(clinic, port).call("/v1/fleet/push-messages", request)

    def send(self, clinic: int, port: int, run_id: int, session: str, name: str, data: bytes) -> int | bool:
        """A clinic sends an object; whether it is stored, or the status of the refusal."""
        request = PushObjectRequest(
            node=Node(node_id=self.nodes[clinic]),
            run_id=run_id,
            object_id=name,
            object_content=data,
            session_id=session,
        )
        answer = self.caller(clinic, port).call("/v1/fleet/push-object", request)
        return (
            PushObjectResponse.FromString(answer.content).stored if answer.is_success else answer.status_code
        )


def objects_in(reply: Message) -> dict[str, bytes]:
    with no_object_id_recompute():
        return {name: part.deflate() for name, part in get_all_nested_objects(reply).items()}
