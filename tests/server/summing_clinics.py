"""Small clinics that take part in secure sums, with a grid on which any of them falls silent at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.clinic_sums import ClinicSums, Summand
from dermafed.client.node.sum_transcript import SumTranscripts
from dermafed.server.rounds.checkpoint import RunState, load_state
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.training.trainer import Trainer
from dermafed.simulation.engines.local import LocalGrid, become_server_task
from tests.server.small_clinics import CLASSES, Regression, lesions, server
from tests.shared.secure_sum.federation import Remembered, pem

GONE = 5
"""Flower's code of a clinic that is not connected."""

NAMES = ("graz", "linz", "salzburg", "vienna", "wels")
SIZES = (7, 23, 60, 15, 40)


@cache
def key_of(clinic: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(clinic + 2, ec.SECP384R1())


def summing(
    names: Iterable[str] = NAMES,
    sizes: Iterable[int] = SIZES,
    groups: int = 1,
    bits: int = 0,
    **privacy: Any,
) -> Summing:
    roster = Roster.from_pem({name: pem(key_of(clinic)) for clinic, name in enumerate(names)})
    settings = PrivacySettings(aggregation="secure", **privacy)
    return Summing("b" * 64, roster, settings, CLASSES, sum(sizes), groups, bits)


@dataclass
class Clinics:
    """The clinics of a run, with what they remember of its sums.

    Attributes:
        names: their names.
        sizes: how many images each has, for training and validation alike.
        trainer: makes a clinic's trainer, by its place.
        robust: the rule, over groups' means; none: one sum over all.
        bits: of coded changes.
        transcripts: holds a folder for each clinic's; ``None``: none are written.
    """

    names: tuple[str, ...] = NAMES
    sizes: tuple[int, ...] = SIZES
    privacy: dict[str, Any] = field(default_factory=dict)
    trainer: Callable[[int], Trainer] | None = None
    robust: RobustSettings = NO_RULE
    bits: int = 0
    transcripts: Path | None = None
    logs: dict[int, Remembered] = field(default_factory=dict)

    @property
    def summing(self) -> Summing:
        groups = self.robust.least_clinics if self.robust.active else 1
        return summing(self.names, self.sizes, groups, self.bits, **self.privacy)

    def honest(self, clinic: int) -> Trainer:
        return Regression(*lesions(clinic, self.sizes[clinic]))

    def app(self) -> ClientApp:
        """The app of clinics that have just started: what they began before is forgotten."""
        agreed = self.summing

        def summand(context: Context) -> Summand:
            clinic = place(context)
            log = self.logs.setdefault(clinic, Remembered())
            counts = np.bincount(lesions(clinic, self.sizes[clinic])[1], minlength=CLASSES)
            name = self.names[clinic]
            own = SumTranscripts(self.transcripts / name) if self.transcripts else None
            return Summand(name, key_of(clinic), log, agreed, tuple(counts.tolist()), own)

        trainer = self.trainer or self.honest
        return build_client_app(lambda context: trainer(place(context)), sums=ClinicSums(summand))

    def run(self, folder: Path, grid: Tapped | None = None, **options: Any) -> RunState:
        """A run by secure sums."""
        become_server_task()
        grid = grid or Tapped(self)
        quorum = options.pop("quorum", self.summing.terms("train", 0).threshold)
        options |= {"summing": self.summing, "robust": self.robust}
        app = server(folder, clinics=len(self.names), quorum=quorum, **options)
        app(grid, Context(1, 1, {}, RecordDict(), {}))
        return load_state(folder)


def place(context: Context) -> int:
    return int(context.node_config["partition-id"])


class Tapped(LocalGrid):
    """A grid that shows what passes, and on which clinics fall silent.

    Args:
        clinics: the clinics.
        silent: whether the reply of a clinic to a kind of message, its n-th from 1, is lost.
        change: what becomes of a clinic's message on its way there.
    """

    def __init__(
        self,
        clinics: Clinics,
        silent: Callable[[int, str, int], bool] = lambda clinic, kind, count: False,
        change: Callable[[int, Message], Message] = lambda clinic, message: message,
    ) -> None:
        super().__init__(clinics.app(), clinics.names)
        self.silent, self.change = silent, change
        self.replies: list[tuple[int, str, RecordDict | None]] = []
        self._count: dict[tuple[int, str], int] = {}

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        found = []
        for key in list(message_ids):
            message = self._waiting[key]
            kind, clinic = message.metadata.message_type, message.metadata.dst_node_id - 1000
            counted = self._count[clinic, kind] = self._count.get((clinic, kind), 0) + 1
            if self.silent(clinic, kind, counted):
                del self._waiting[key]
                found.append(Message(Error(GONE, ""), reply_to=message))
                continue
            self._waiting[key] = self.change(clinic, message)
            (reply,) = super().pull_messages([key])
            self.replies.append((clinic, kind, None if reply.has_error() else reply.content))
            found.append(reply)
        return found
