"""A hostile clinic in a real federation over TLS: a server, two honest nodes, and a third that sends lies.

It has two runs: by a plan's ordinary rules, and with the screening off, where the attack succeeds. The same
attacks in this process are in test_own_the_model, test_evaluations, test_texts_and_sizes and
test_replies_on_the_wire, which are quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from dermafed.client.node.flower.contents import content_from_bytes
from dermafed.server.coordinator.server_process import OBJECTS
from dermafed.server.flower.expected_replies import LARGEST_ENVELOPE
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE, FirstWeights, read_first_weights
from dermafed.shared.model.parts import WEIGHTS
from dermafed.shared.protocol.messages import decode_update
from dermafed.shared.training.trainer import FloatVector
from tests.attacks.disk_use import DiskUse
from tests.attacks.hostile_worker import ATTACKED, EXTRA_RECORD, LARGE_LOSS, LONG_STEP
from tests.commands.small_datasets import draw_dataset
from tests.faults.federation import SERVER, Federation
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow

HONEST, HOSTILE = ("graz", "linz"), "vienna"
ORDINARY, OPEN = {"largest_share": 0.5, "largest_step": 3.0}, {"largest_share": 1.0, "largest_step": 1e12}


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    draw = partial(draw_dataset, lesions=8)
    made = Federation(tmp_path_factory.mktemp("federation"), clinics=(*HONEST, HOSTILE), draw=draw).make()
    try:
        made.start_server()
        for clinic in HONEST:
            made.start_clinic(clinic)
        made.start_clinic(HOSTILE, "tests.attacks.hostile_worker")
        wait_for(lambda: made.connected(*HONEST, HOSTILE))
        yield made
    finally:
        made.kill(*list(made.running))


@dataclass
class Finished:
    """A run that has ended.

    Attributes:
        federation: where.
        name: its name.
        used: what it took on the server's disk.
    """

    federation: Federation
    name: str
    used: DiskUse

    @property
    def rounds(self) -> list[dict[str, Any]]:
        return self.federation.history(self.name)

    @property
    def first(self) -> FirstWeights:
        return read_first_weights(self.federation.run_folder(self.name) / START_FILE)

    def last(self, clinic: str) -> dict[str, Any]:
        """A clinic's part in the last round."""
        return next(one for one in self.rounds[-1]["clinics"] if one["clinic"] == clinic)

    def hostile_part(self) -> FloatVector:
        """What the last round moved besides the honest steps, each of which the clinic has kept."""
        folder, round = self.federation.run_folder(self.name), self.rounds[-1]["round"]
        start = load_state(folder, round - 1).weights if round > 1 else self.first.weights
        part = load_state(folder).weights.astype(np.float64) - start
        for clinic in HONEST:
            offers = self.federation.home(clinic) / "offers" / self.federation.run(self.name)["hash"]
            (reply,) = offers.glob(f"answers/train-{round}-*.reply")
            update, _ = decode_update(content_from_bytes(reply.read_bytes()), start.size)
            part -= self.last(clinic)["share"] * (update.weights.astype(np.float64) - start)
        return part


def finished(federation: Federation, name: str, rounds: int, **rules: float) -> Finished:
    with DiskUse(federation.server, federation.running[SERVER].pid) as used:
        federation.train(name, rounds=rounds, side=32, calibrate="false", deadline="5m", **rules)
        federation.ends(name)
    return Finished(federation, name, used)


@pytest.fixture(scope="module")
def attacked(federation: Federation) -> Finished:
    return finished(federation, ATTACKED, LONG_STEP, **ORDINARY)


def clip(run: Finished) -> float:
    """The longest step of the weights that the ordinary rules leave anyone."""
    norms = sorted(run.last(clinic)["norm"] for clinic in (*HONEST, HOSTILE))
    return ORDINARY["largest_step"] * norms[1]


def test_each_false_reply_is_named_and_the_run_goes_on(attacked: Finished) -> None:
    left_out = {row["round"]: row["left_out"] for row in attacked.rounds}
    assert left_out == {
        LARGE_LOSS: "vienna: its metric 'loss' is 1e+308, not 0 to 1,000,000",
        EXTRA_RECORD: "vienna: its reply did not arrive in full, or in time; "
        "vienna: it has 1 records that are not part of this reply (evaluation)",
        LONG_STEP: "",
    }
    assert "shortened to 3" in attacked.last(HOSTILE)["note"]
    log = attacked.federation.log(SERVER)
    assert "vienna claims the weight 1000000; by the agreement it has " in log
    assert "vienna: its reply was refused: the reply is longer than " in log
    assert "\x1b[2J" not in log


def test_no_reply_moves_the_model_by_more_than_its_share_times_the_clip(
    attacked: Finished, federation: Federation
) -> None:
    opened = finished(federation, "open", 1, **OPEN)
    for run, held in ((attacked, True), (opened, False)):
        part, share = run.hostile_part(), run.last(HOSTILE)["share"]
        moved = float(np.linalg.norm(part[run.first.parts == WEIGHTS]))
        assert share == pytest.approx(1 / 3)
        assert (moved <= share * clip(run) + 1e-4) == held, (moved, share, clip(run))
        assert moved > 0.9 * share * clip(run)  # what is measured is the hostile step, and not nothing


def test_an_evaluation_of_many_images_counts_by_those_that_were_told(attacked: Finished) -> None:
    """All that vienna says is right, about 999,999 images."""
    for row in attacked.rounds:
        honest = [one["balanced_accuracy"] for one in row["clinics"] if one["clinic"] in HONEST]
        most = ORDINARY["largest_share"] * (1 + max(honest))
        assert row["validation_balanced_accuracy"] <= most + 1e-9


def test_the_server_wrote_no_more_than_the_stated_bytes(attacked: Finished) -> None:
    """The model and each reply are under way; updates wait in one more file."""
    model, clinics = 4 * attacked.first.weights.size, len(HONEST) + 1
    peaks = attacked.used.peaks
    assert model < peaks[OBJECTS] <= model + clinics * (model + LARGEST_ENVELOPE)
    assert model < peaks["unlinked"] <= clinics * model
