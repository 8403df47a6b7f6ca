"""The engine ``local``: all clinics in this process, one after the other, without Ray.

A clinic works when its reply is pulled, so there is only one reply in memory at a time.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from flwr.app import Context, Error, Message, RecordDict, UserConfig
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from dermafed.client.node.known_models import KnownModels
from dermafed.server.flower.observed_grid import ObservedGrid
from dermafed.server.flower.run_grid import RunGrid
from dermafed.server.flower.sparing_grid import SparingGrid
from dermafed.shared.protocol.known_model import KnownModel, UnknownModel
from dermafed.shared.protocol.messages import Refusal

log = logging.getLogger("dermafed.simulation")

SERVER_NODE = 1
_FIRST_NODE = 1000


def run_local(
    server_app: ServerApp, client_app: ClientApp, clinics: int | Sequence[str], folder: Path | None = None
) -> None:
    """Run a federation in this process.

    Args:
        server_app: the server.
        client_app: the app of each clinic; its context has ``partition-id`` and ``num-partitions``.
        clinics: the clinics' names in order of their partition, or their number.
        folder: where the bytes of all messages are noted, which then leave out what the other side has;
            ``None``: messages are sent in full.

    Raises:
        DermaFedError: any error of the server app.
    """
    become_server_task()
    local = LocalGrid(client_app, clinic_names(clinics))
    grid = SparingGrid(ObservedGrid(local, local.names, folder)) if folder is not None else local
    server_app(grid, _context(SERVER_NODE, {}))


def clinic_names(clinics: int | Sequence[str]) -> list[str]:
    """The names, or ``clinic 1``, ``clinic 2``, ... for a number."""
    return [f"clinic {i + 1}" for i in range(clinics)] if isinstance(clinics, int) else list(clinics)


class LocalGrid(RunGrid):
    """Flower's Grid over a ClientApp in this process.

    Attributes:
        names: node id to clinic.
    """

    def __init__(self, client_app: ClientApp, clinics: Sequence[str]) -> None:
        self._app = client_app
        self.names = {_FIRST_NODE + i: name for i, name in enumerate(clinics)}
        self._contexts = {
            node: _context(node, {"partition-id": i, "num-partitions": len(clinics)})
            for i, node in enumerate(self.names)
        }
        pool: WeakValueDictionary[str, KnownModel] = WeakValueDictionary()
        self._models = {node: KnownModels(pool) for node in self.names}
        self._waiting: dict[str, Message] = {}
        self._ids = itertools.count(1)

    @property
    def run(self) -> Run:
        """The only run."""
        return Run.create_empty(run_id=1)

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Every clinic's node id and name."""
        return [NodeInfo(node_id=node, name=name) for node, name in self.names.items()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Store the messages until their replies are pulled."""
        sent = {str(next(self._ids)): message for message in messages}
        self._waiting |= sent
        return list(sent)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Run the clinics on these messages now, and return their replies."""
        return [self._work(self._waiting.pop(key)) for key in message_ids if key in self._waiting]

    def _work(self, message: Message) -> Message:
        context = self._contexts[message.metadata.dst_node_id]
        models = self._models[context.node_id]
        try:
            models.complete(message, context.run_id)
            reply = self._app(message, context)
            models.spare(reply, message, context.run_id)
            return reply
        except UnknownModel:
            return Message(Error(Refusal.MODEL_UNKNOWN, "UnknownModel"), reply_to=message)
        except Exception as error:
            log.exception("the client app failed")
            return Message(Error(code=0, reason=type(error).__name__), reply_to=message)


def _context(node: int, node_config: UserConfig) -> Context:
    return Context(run_id=1, node_id=node, node_config=node_config, state=RecordDict(), run_config={})


def become_server_task() -> None:
    """Give this process the identity that Flower requires for making messages."""
    TaskIdentity.task_id = 1
    TaskIdentity.run_id = 1
    TaskIdentity.node_id = SERVER_NODE
