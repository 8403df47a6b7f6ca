"""A grid that counts the weights which pass it, and on which clinics start anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.known_models import KnownModels
from dermafed.simulation.engines.local import LocalGrid


class Workers(LocalGrid):
    """The clinics of an app, with what passes between them and the server.

    Args:
        app: the clinics' app.
        names: their names.
        forgets: whether a clinic starts anew before a message: its place, the message's type and round.
    """

    def __init__(
        self,
        app: ClientApp,
        names: Sequence[str],
        forgets: Callable[[int, str, str], bool] = lambda clinic, kind, round: False,
    ) -> None:
        super().__init__(app, names)
        self.forgets = forgets
        self.down: list[tuple[int, str, int]] = []  # place, type, and how many weights it has
        self.up: list[tuple[int, str, int]] = []

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        sent = list(messages)
        for message in sent:
            about = message.metadata
            self.down.append((about.dst_node_id - 1000, about.message_type, weights_in(message.content)))
        return super().push_messages(sent)

    def _work(self, message: Message) -> Message:
        about = message.metadata
        node, kind = about.dst_node_id, about.message_type
        if self.forgets(node - 1000, kind, about.group_id):
            self._models[node] = KnownModels()
        reply = super()._work(message)
        if not reply.has_error():
            self.up.append((node - 1000, kind, weights_in(reply.content)))
        return reply


def weights_in(content: RecordDict) -> int:
    """How many float32 a message has, of a model or of a patch."""
    records = [record for record in content.values() if isinstance(record, ArrayRecord)]
    return sum(array.shape[0] for record in records for array in record.values() if array.dtype == "float32")
