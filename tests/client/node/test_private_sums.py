"""Runs with noise within secure sums at real nodes: consent, ledgers, gate, what leaves, failed attempts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from flwr.app import Message
from flwr.clientapp import ClientApp

from dermafed.client.commands.plans import describe
from dermafed.client.commands.privacy import defences
from dermafed.client.node.clinic_settings import Limits
from dermafed.client.node.ledger import Ledger, spent_epsilon
from dermafed.client.node.node_app import build_node_app
from dermafed.client.node.offers import Offers
from dermafed.client.node.saved_models import list_saved_models
from dermafed.server.coordinator.plan_file import request_run
from dermafed.server.record.runs_table import Run, find_run
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.ledger_messages import LEDGER
from dermafed.shared.protocol.sum_messages import SUMMED
from tests.journeys.secure_federation import NAMES, SecureFederation
from tests.shared.training.tiny import start, tiny, tiny_backbones

PLAN = """\
name = "{name}"
rounds = {rounds}
strategy = "fedavgm"
[privacy]
aggregation = "secure"
dp = {{ epsilon = {epsilon}, delta = 1e-4, rate = 0.5, place = "sum" }}
[model]
backbone = "EfficientNetB7"
frozen_blocks = 0
features = "pooled"
image_size = 32
classes = ["melanoma", "nevus"]
[preprocess]
denoise = "none"
clahe = false
[rules]
approval = "1s"
wait = "1s"
attempts = 2
"""
MODEL = tiny(classes=("melanoma", "nevus"), batch_norm="frozen")
LAYER = (8 + 1) * 2
STEPS = [("counts", 0), ("training", 1), ("validation", 1), ("training", 2), ("validation", 2)]


class PrivateFederation(SecureFederation):
    """Clinics whose nodes train the last layer of a tiny network."""

    def _app(self, name: str) -> ClientApp:
        return build_node_app(self.homes[name])[0]

    def start_run(self, name: str, rounds: int = 2, epsilon: float = 4) -> Run:
        """A run that a person at every clinic approves, executed to its end."""
        path = self.folder / f"{name}.toml"
        path.write_text(PLAN.format(name=name, rounds=rounds, epsilon=epsilon))
        run, _ = request_run(self.record, path)
        folder, weights = self.folder / "runs" / run.folder_name, start(MODEL)
        folder.mkdir(parents=True)
        layout = {"adapted": np.ones(weights.size, bool), "origin": "none", "features": 8}
        np.savez(folder / START_FILE, weights=weights, **layout)
        with pytest.raises(FederationError, match="waiting"):
            self.execute(name)
        self.approve(run.hash)
        self.execute(name)
        return find_run(self.record, name)

    def charges(self, clinic: str, run: Run) -> list[tuple[str, int]]:
        entries = Ledger(self.homes[clinic].ledger).entries()
        return [(one.charge.what, one.charge.round) for one in entries if one.charge.plan == run.hash]


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateFederation]:
    folder = tmp_path_factory.mktemp("private")
    with pytest.MonkeyPatch.context() as patch, tiny_backbones():
        patch.setenv("DERMAFED_CACHE", str(folder / "cache"))
        made = PrivateFederation(
            folder, images=(60,) * 5
        )  # each patient is drawn alone: of few, none may be on a side
        for home in made.homes.values():
            settings = home.settings_file.read_text().replace('policy = "limits"', 'policy = "ask"')
            home.settings_file.write_text(settings + "\n[privacy]\nepsilon = 100\n")
        yield made


def test_every_clinic_debits_its_part_of_each_sum_and_releases_nothing_by_itself(
    federation: PrivateFederation,
) -> None:
    run = federation.start_run("first")
    for clinic in NAMES:
        assert federation.charges(clinic, run) == STEPS
        ledger = Ledger(federation.homes[clinic].ledger).entries()
        assert 0.99 * 4 < spent_epsilon((one.charge for one in ledger), 1e-4) <= 4
    for _, kind, content in federation.answers:
        if kind.startswith("query.sum_") or kind in SUMMED.values():
            assert content is not None, kind
            assert content.keys() == {"sum"} | ({LEDGER} if kind in SUMMED.values() else set()), kind
    state = load_state(federation.folder / "runs" / run.folder_name)
    before = start(MODEL)
    np.testing.assert_array_equal(state.weights[:-LAYER], before[:-LAYER])
    assert (state.weights[-LAYER:] != before[-LAYER:]).all()
    assert (np.abs(state.memory["velocity"][-LAYER:]) > 0).all()  # momentum, of the server alone
    assert [row.replied for row in state.history] == [5, 5]
    assert all(0 <= row.validation_balanced_accuracy <= 1 for row in state.history)
    home = federation.homes["graz"]
    assert list_saved_models(home.models)[0].card.round == 2
    stored = Offers(home.offers).load(run.hash)
    assert stored is not None
    assert "noise added in parts, within secure sums" in "\n".join(defences(stored))
    shown = "\n".join(describe(stored, Limits()))
    assert "each step is one sum" in shown
    assert "the last layer's gradient of each step" in shown


def test_an_attempt_that_is_repeated_is_charged_again_until_nothing_is_left(
    federation: PrivateFederation,
) -> None:
    failed: set[str] = set()

    def fail_once(name: str, message: Message) -> None:
        if message.metadata.message_type == SUMMED["train"] and name in NAMES[3:] and name not in failed:
            failed.add(name)
            federation.restart(name)  # which forgets the attempt

    federation.before = fail_once
    with pytest.raises(FederationError, match=r"BudgetSpent\); its patients' epsilon is spent"):
        federation.start_run("second")
    run = find_run(federation.record, "second")
    assert failed == set(NAMES[3:])
    for clinic in NAMES[:3]:  # they paid twice for the first step, and the plan was for two steps
        assert federation.charges(clinic, run) == [*STEPS[:2], *STEPS[1:3]]
    for clinic in NAMES[3:]:
        assert federation.charges(clinic, run) == STEPS[:4]


def test_a_ledger_that_is_set_back_adds_nothing_to_a_sum(federation: PrivateFederation) -> None:
    federation.before = lambda name, message: None
    federation.homes["graz"].ledger.unlink()  # a backup of before the first run
    run = federation.start_run("third", rounds=1)
    assert not federation.homes["graz"].ledger.exists()
    assert federation.charges("linz", run) == STEPS[:3]
    (row,) = load_state(federation.folder / "runs" / run.folder_name).history
    assert row.replied == 4
    assert "graz: not approved there (LedgerSetBack); its ledger of privacy is an older copy" in row.left_out
