"""The model that a clinic got last in a run: messages leave out what of it they would repeat."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from flwr.app import ConfigRecord, Message, RecordDict

from dermafed.shared.protocol.known_model import (
    KNOWN,
    KnownModel,
    completed,
    is_patched,
    model_in,
    patch_of,
    patched,
    without,
)
from dermafed.shared.protocol.selection_records import selection_in


@dataclass
class KnownModels:
    """The last model of the current run, in the memory only: a worker that starts again asks for it.

    Attributes:
        pool: models by their digest, of which clinics in one process need a single copy.
    """

    pool: MutableMapping[str, KnownModel] = field(default_factory=WeakValueDictionary)
    _last: dict[int, KnownModel] = field(default_factory=dict)
    _asked: bool = False  # whether the server of the last message understands what leaves something out

    def complete(self, message: Message, run: int) -> None:
        """Put into a server's message what it left out, and remember its model.

        Args:
            message: of the server; nothing in it is trusted.
            run: Flower's number of its run.

        Raises:
            UnknownModel: it is about a model that this process did not get.
            FederationError: it is malformed.
        """
        known = self._last.get(run)
        self._asked = KNOWN in message.content
        if not self._asked:
            return
        message.content = without(message.content, KNOWN)
        if is_patched(message.content):
            selection = selection_in(message.content, known.weights.size) if known else None
            message.content, known = completed(message.content, known, selection)
        else:
            known = model_in(message.content)
        if known is not None:
            self._last = {run: self.pool.setdefault(known.digest, known)}

    def spare(self, reply: Message, request: Message, run: int) -> None:
        """Say in a reply which model is known here, and leave out what of the reply's model it repeats.

        Args:
            reply: to a server that has the request's model.
            request: the server's message in full.
            run: Flower's number of its run.
        """
        known = self._last.get(run)
        if reply.has_error() or known is None or not self._asked:
            return
        model = model_in(reply.content)
        if model is not None:
            patch = patch_of(model, known, selection_in(request.content, known.weights.size))
            reply.content = patched(reply.content, patch) if patch is not None else reply.content
        told = ConfigRecord({"model": known.digest})
        reply.content = RecordDict({**reply.content, KNOWN: told})
