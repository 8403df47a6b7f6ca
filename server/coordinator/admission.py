"""Whose nodes may connect: the engine made to agree with the record."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from dermafed.server.coordinator.engine import Engine
from dermafed.server.record.clinics import list_clinics, note_online
from dermafed.server.record.database import Record
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.node_key import to_pem

log = logging.getLogger("dermafed.server")


@dataclass
class Admission:
    """Lets enrolled clinics in and revoked ones out.

    Attributes:
        engine: the link to the clinics.
        record: of the federation.
    """

    engine: Engine
    record: Record
    _nodes: dict[str, int | None] = field(default_factory=dict)  # key to node id; None: it was refused

    def apply(self) -> None:
        """Do what changed in the record since the last call; note who is connected.

        Raises:
            StorageError: the record or the engine's state cannot be used now.
        """
        enrolled = {clinic.key: clinic.name for clinic in list_clinics(self.record, revoked=False)}
        self._nodes = {key: node for key, node in self._nodes.items() if key in enrolled}
        before = self.engine.nodes()
        for key in enrolled.keys() - self._nodes.keys():
            self._nodes[key] = self._register(enrolled[key], key)
        wanted = set(self._nodes.values())
        for node in before:
            if node.id not in wanted:
                self.engine.remove(node.id)
                log.info("%s may connect no more", node.clinic)
        note_online(self.record, {node.clinic for node in before if node.online and node.id in wanted})

    def _register(self, clinic: str, key: str) -> int | None:
        try:
            node = self.engine.register(clinic, to_pem(key))
        except SettingsError as error:
            log.error("%s cannot connect: %s", clinic, error)
            return None
        log.info("%s may connect", clinic)
        return node
