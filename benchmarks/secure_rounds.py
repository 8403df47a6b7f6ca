"""Bytes and seconds of rounds by secure sums beside plain ones, with and without changes in few bits.

    python -m benchmarks.secure_rounds [--weights 4060000] [--many 1000] [--json]

rounds  Whole rounds of the server's and the clinics' apps in this process, over the grids of a real server:
        updates of random numbers, no training, counts of 500 images. Bytes are those of all messages to and
        from a clinic, the mean of the rounds after the first, in which nobody has a model yet; seconds are
        CPU seconds of server and clinics together, the median. ``as before`` sends each model twice.
masks   Milliseconds of a mask of 4,060,000 weights, ours and Flower's (:mod:`benchmarks.secure_masks`).
error   The largest error of a sum of ten clinics' vectors, as a share of its range.
server  CPU seconds of a server whose clinics are so many, of which each tenth drops out once it has dealt its
        shares: it opens a sum of as many weights. What masked vectors hold does not matter to it, nor what
        clinics check, so that they add no masks and check no signatures here.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import typer
from flwr.app import Context, RecordDict
from rich.console import Console
from rich.table import Table

from benchmarks.secure_masks import MASKS, least_seconds
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.clinic_sums import ClinicSums, Summand
from dermafed.server.flower.observed_grid import ObservedGrid
from dermafed.server.flower.sparing_grid import SparingGrid
from dermafed.server.rounds.coding import Coding
from dermafed.server.rounds.history import HistoryRow
from dermafed.server.rounds.open_exchange import load_exchange
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.server_defences import ServerDefences
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.secure_sum.fixed_point import Layout, Part
from dermafed.shared.secure_sum.session import Session
from dermafed.shared.secure_sum.terms import Terms
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import LocalGrid, become_server_task
from tests.shared.secure_sum.federation import Federation, Remembered, enrolment_key, roster

ROUNDS = 3
IMAGES, CLASSES = 500, 7
STATISTICS = 0.01  # of the weights, as of EfficientNet's batch normalisation
MASK_WEIGHTS = 4_060_000
FEW, MANY, BITS = 10, 20, 8


@dataclass(frozen=True)
class Drawn:
    """A clinic whose update is drawn from a normal distribution, as are changes behind the rotation."""

    clinic: int

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        random = np.random.default_rng((self.clinic, round))
        change = random.standard_normal(weights.size, np.float32) * np.float32(1e-3)
        return Update(weights + change, IMAGES, {"loss": 1.0})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        random = np.random.default_rng(self.clinic)
        labels = random.integers(0, CLASSES, IMAGES)
        return ClinicEvaluation.from_predictions(labels, random.dirichlet(np.ones(CLASSES), IMAGES))


@dataclass
class Rounds:
    """Rounds of some clinics.

    Attributes:
        clinics: how many.
        weights: of the model.
        secure: whether updates are summed.
        bits: of each change; 0: all travel in full.
        spares: whether messages leave out what the other side has.
    """

    clinics: int
    weights: int
    secure: bool = False
    bits: int = 0
    spares: bool = True
    sent: list[float] = field(default_factory=list)  # megabytes to and from a clinic, of each round
    seconds: list[float] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Run them."""
        become_server_task()
        with tempfile.TemporaryDirectory() as name:
            self._run(Path(name))
        first, *others = self.sent
        return {"mb": fmean(others), "first_mb": first, "seconds": median(self.seconds[1:])}

    def _run(self, folder: Path) -> None:
        names = [f"c{place:05d}" for place in range(self.clinics)]
        summing, place = None, lambda context: int(context.node_config["partition-id"])
        if self.secure:
            privacy = PrivacySettings(aggregation="secure")
            images = IMAGES * self.clinics
            agreed = roster(self.clinics)
            names = list(agreed.names)
            summing = Summing("a" * 64, agreed, privacy, CLASSES, images, bits=self.bits)
        logs = [Remembered() for _ in names]

        def summand(context: Context) -> Summand:
            assert summing is not None
            at = place(context)
            return Summand(names[at], enrolment_key(at), logs[at], summing, (IMAGES,))

        app = build_client_app(lambda context: Drawn(place(context)), sums=ClinicSums(summand))
        grid: Any = ObservedGrid(LocalGrid(app, names), dict(enumerate(names, 1000)), folder)
        coded = np.arange(self.weights) >= STATISTICS * self.weights
        server = build_server_app(
            np.zeros(self.weights, np.float32),
            CLASSES,
            RoundRules(ROUNDS, self.clinics, quorum=self.clinics, largest_share=1, largest_step=None),
            folder,
            defences=ServerDefences(summing=summing),
            coding=Coding(np.ones(self.weights, bool), coded, self.bits) if self.bits else None,
            on_round=lambda row: self._note(row, folder),
        )
        self._before, self._start = 0, time.process_time()
        server(SparingGrid(grid) if self.spares else grid, Context(1, 1, {}, RecordDict(), {}))

    def _note(self, row: HistoryRow, folder: Path) -> None:
        assert row.replied == self.clinics, row.left_out
        exchange = load_exchange(folder)
        assert exchange is not None
        total = sum(one.sent + one.received for one in exchange.traffic.values())
        self.sent.append((total - self._before) / self.clinics / 1e6)
        self.seconds.append(time.process_time() - self._start)
        self._before, self._start = total, time.process_time()


def rounds(weights: int) -> Iterator[dict[str, Any]]:
    """A row for each kind of rounds; ratios to plain ones of as many clinics."""
    few = {"plain, as before": Rounds(FEW, weights, spares=False)}
    many = {
        "plain, few bits": Rounds(MANY, weights, bits=BITS),
        "secure, few bits": Rounds(MANY, weights, secure=True, bits=BITS),
    }
    for clinics, others in ((FEW, few), (MANY, many)):
        kinds = {"plain": Rounds(clinics, weights), "secure": Rounds(clinics, weights, secure=True)}
        found = {name: {"bits": one.bits or 32, **one.run()} for name, one in (kinds | others).items()}
        plain = found["plain"]
        for name, one in found.items():
            ratios = {f"{of}_ratio": one[of] / plain[of] for of in ("mb", "seconds")}
            yield {"round": name, "clinics": clinics, **one, **ratios}


def error(numbers: int = 100_000, clinics: int = 10) -> float:
    """The largest error of a sum, as a share of its range."""
    layout = Layout((Part("change", numbers, 64.0 * IMAGES),), clinics)
    random = np.random.default_rng(1)
    values = random.uniform(-64.0 * IMAGES, 64.0 * IMAGES, (clinics, numbers))
    total = np.sum([layout.encode({"change": one}) for one in values], axis=0, dtype=np.uint32)
    most = np.abs(layout.decode(total)["change"] - values.sum(axis=0)).max()
    return float(most / (2 * clinics * 64.0 * IMAGES))


class Carried(Federation):
    """Clinics and a server in one process, between which nothing is copied."""

    def pass_on(self, message: Any) -> Any:
        return message


def server_seconds(clinics: int, weights: int) -> dict[str, Any]:
    """CPU seconds of the server in one sum, of which each tenth clinic drops out after the second step."""
    colluders = clinics // 3
    layout = Layout((Part("change", weights, 64.0 * IMAGES),), clinics)
    terms = Terms("b" * 64, roster(clinics), colluders, layout)
    drops = dict.fromkeys(range(0, clinics, 10), "masked")
    federation = Carried(terms, {place: {} for place in range(clinics)}, drops)
    spent = [0.0]

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            start = time.process_time()
            try:
                return work(*given)
            finally:
                spent[0] += time.process_time() - start

        return call

    side = federation.server
    for name in (one for one in dir(side) if one.startswith(("take_", "close"))):
        setattr(side, name, timed(getattr(side, name)))
    vector = np.random.default_rng(1).integers(0, 2**32, weights, np.uint32)
    module = "dermafed.shared.secure_sum.clinic_side"
    with ExitStack() as skipped:
        for name in ("add_pair_mask", "add_self_mask"):
            skipped.enter_context(patch(f"{module}.{name}", lambda *given: None))
        # What a clinic checks for itself would take a thousand clinics in one process an hour.
        skipped.enter_context(patch(f"{module}.is_signed", lambda *given: True))
        skipped.enter_context(patch(f"{module}.open_session", lambda *given: side._session))
        skipped.enter_context(patch.object(Session, "check_signed", lambda session, clinics: None))
        skipped.enter_context(patch.object(Layout, "encode", lambda layout, values: vector))
        federation.run()
    return {"clinics": clinics, "dropped": len(drops), "weights": weights, "seconds": spent[0]}


def measure(weights: int, many: int) -> dict[str, Any]:
    """All of it."""
    masks = {name: 1000 * least_seconds(mask(MASK_WEIGHTS), 3) for name, mask in MASKS.items()}
    return {
        "rounds": list(rounds(weights)),
        "server": [server_seconds(many, weights)],
        "mask_ms": masks["ours"],
        "flowers_mask_ms": masks["Flower"],
        "error_bits": -math.log2(error()),
        "weights": weights,
    }


def main(
    weights: Annotated[int, typer.Option(min=1000, help="Of the model.")] = 4_060_000,
    many: Annotated[int, typer.Option(min=100, help="Clinics of the server's measurement.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    found = measure(weights, many)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name in ("rounds", "server"):
        table = Table(*found[name][0], title=name)
        for own in found.pop(name):
            cells = (f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in own.values())
            table.add_row(*cells)
        Console().print(table)
    Console().print(found)


if __name__ == "__main__":
    typer.run(main)
