"""A run with differential privacy at a clinic's node and in a simulation, over Flower's messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from typer.testing import CliRunner

from dermafed.client.cli import app as app_of_clinic
from dermafed.client.node.gate import filter_reply
from dermafed.client.node.home import Home
from dermafed.client.node.ledger import Ledger, spent_epsilon
from dermafed.client.node.node_app import build_node_app
from dermafed.client.node.saved_models import list_saved_models
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.server_defences import ServerDefences
from dermafed.shared.errors import FederationError
from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import Splits
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Decision,
    decode_answer,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.ledger_messages import LEDGER
from dermafed.shared.protocol.messages import (
    CALIBRATE_QUERY,
    decode_evaluation,
    decode_update,
    encode_instruction,
)
from dermafed.shared.protocol.node_key import read_public_key
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import RobustSettings
from dermafed.shared.protocol.sent import sent_by
from dermafed.simulation.engines.local import become_server_task, run_local
from dermafed.simulation.runs.arms import Arm
from dermafed.simulation.runs.train_arm import _train
from tests.client.node.test_clinic_trainer import PLAN, records
from tests.client.planted_clinic import CLASSES, clinic, data_set, offer
from tests.shared.training.tiny import plain, start, tiny, tiny_backbones

DP = DifferentialPrivacy(epsilon=8, delta=1e-5, rate=0.5)
MODEL = tiny(classes=CLASSES, batch_norm="frozen")
PRIVATE = offer(
    model=MODEL,
    recipe=plain(epochs=1, optimizer="sgd", balance="logits"),
    rounds=2,
    calibrate=False,
    privacy=PrivacySettings(dp=DP),
    sends=sent_by(PrivacySettings(dp=DP), RobustSettings()),
)
LAYER = (8 + 1) * len(CLASSES)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        yield clinic(tmp_path / "graz", data_set(tmp_path / "data", images=40), policy='"limits"')


Ask = Callable[[str, RecordDict], Message]


def asking(home: Home) -> Ask:
    """Asks the node's app, whose replies pass the gate; each call of this is a restart of its worker."""
    app, consent = build_node_app(home)
    context = Context(1, 1000, {}, RecordDict(), {})

    def ask(kind: str, content: RecordDict) -> Message:
        become_server_task()
        request = Message(content, 1000, kind)
        return filter_reply(app(request, context), request, consent.classes(1))

    return ask


def joined(home: Home, of: Offer = PRIVATE) -> Ask:
    ask = asking(home)
    answer = decode_answer(ask(OFFER_QUERY, encode_offer(of.to_text())).content, len(CLASSES))
    assert answer.decision is Decision.APPROVED
    assert ask(PREPARE_QUERY, encode_counts([9, 8])).has_content()
    return ask


def charges(home: Home) -> list[tuple[str, int]]:
    return [(entry.charge.what, entry.charge.round) for entry in Ledger(home.ledger).entries()]


def test_a_private_run_debits_then_releases_the_last_layer_and_noisy_counts(home: Home) -> None:
    ask, weights = joined(home), start(MODEL)
    heads = LedgerHeads(home.folder / "seen.json", {"graz": read_public_key(home.public_key)})
    for round in (1, 2):
        asked = heads.told(encode_instruction(weights, round, {}))
        content = heads.checked("graz", ask("train", asked).content)
        update, _ = decode_update(content, weights.size)
        np.testing.assert_array_equal(update.weights[:-LAYER], weights[:-LAYER])
        assert (update.weights[-LAYER:] != weights[-LAYER:]).all()  # noise is everywhere
        assert update.metrics == {}
        again = ask("train", asked)  # the same request: the same reply, and nothing is debited
        np.testing.assert_array_equal(
            decode_update(heads.checked("graz", again.content), weights.size)[0].weights, update.weights
        )
        weights = update.weights
        reply = ask("evaluate", heads.told(encode_instruction(weights, round, {}))).content
        evaluation, _ = decode_evaluation(heads.checked("graz", reply), len(CLASSES))
        evaluation.validate(len(CLASSES), scores=False)
        assert not evaluation.histograms.any()
        assert evaluation.loss_sum == 0
    expected = [("counts", 0), ("training", 1), ("validation", 1), ("training", 2), ("validation", 2)]
    assert charges(home) == expected
    spent = spent_epsilon((entry.charge for entry in Ledger(home.ledger).entries()), DP.delta)
    assert 0.99 * DP.epsilon < spent <= DP.epsilon
    assert list_saved_models(home.models)[0].card.round == 2
    assert ask(CALIBRATE_QUERY, encode_instruction(weights, 2, {})).has_error()
    assert charges(home) == expected


def test_rounds_of_a_server_that_watches_the_ledgers(home: Home, tmp_path: Path) -> None:
    joined(home)
    app, _ = build_node_app(home)
    heads = LedgerHeads(tmp_path / "seen.json", {"graz": read_public_key(home.public_key)})
    rules = [RoundRules(rounds, 1, attempts=1) for rounds in (2, 1)]
    watching = {"defences": ServerDefences(ledgers=heads, scores=False)}
    server = build_server_app(start(MODEL), 2, rules[0], tmp_path / "run", **watching)
    run_local(server, app, ["graz"])
    assert load_state(tmp_path / "run").round == 2
    assert len(charges(home)) == 5
    lines = printed_privacy(home)
    assert f"epsilon {DP.epsilon:.3g} spent, 2 left" in lines
    assert "round 2, training: 2 sums with noise" in lines
    assert f"of the plan's 8 at delta 1e-05: {DP.epsilon:.3g} spent, " in lines
    assert lines.count(" so far") == 5  # a line for each release, that of the counts least
    assert "against hostile clinics: screening, then the mean" in lines
    assert "epsilon 8 at delta 1e-05 of a patient, noise added here" in lines
    home.ledger.unlink()  # restored from a time before
    again = build_server_app(start(MODEL), 2, rules[1], tmp_path / "other", **watching)
    with pytest.raises(FederationError, match="LedgerSetBack"):
        run_local(again, app, ["graz"])
    assert not home.ledger.exists()


def printed_privacy(home: Home) -> str:
    """What ``fl-client privacy`` prints."""
    result = CliRunner().invoke(app_of_clinic, ["privacy", "--dir", str(home.folder)])
    assert result.exit_code == 0, result.output
    as_json = CliRunner().invoke(app_of_clinic, ["privacy", "--json", "--dir", str(home.folder)])
    assert [one["name"] for one in json.loads(as_json.output)["plans"]] == ["first"]
    return " ".join(result.output.split())


def test_what_was_released_stays_and_a_killed_round_is_debited_again_until_nothing_is_left(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = joined(home)
    offered = encode_offer(PRIVATE.to_text())
    first, second = (decode_answer(asking(home)(OFFER_QUERY, offered).content, 2) for _ in range(2))
    assert first.class_counts is not None
    np.testing.assert_array_equal(first.class_counts, second.class_counts)
    assert charges(home) == [("counts", 0)]
    weights = start(MODEL)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dermafed.client.node.answered.write_private", die)
        with pytest.raises(KeyboardInterrupt):
            ask("train", encode_instruction(weights, 1, {}))
    ask = asking(home)
    assert ask("train", encode_instruction(weights, 1, {})).has_content()
    assert charges(home) == [("counts", 0), ("training", 1), ("training", 1)]
    reply = ask("train", encode_instruction(weights, 2, {}))  # the plan was for two
    assert reply.error.reason == "BudgetSpent"
    assert len(charges(home)) == 3


def test_the_clinics_own_budget_and_a_large_delta_refuse_whatever_the_plan_says(home: Home) -> None:
    home.settings_file.write_text(home.settings_file.read_text() + "\n[privacy]\nepsilon = 8.1\n")
    ask, weights = joined(home), start(MODEL)
    for round in (1, 2):
        assert ask("train", encode_instruction(weights, round, {})).has_content()
    other = replace(PRIVATE, name="second")
    content = asking(home)(OFFER_QUERY, encode_offer(other.to_text())).content
    assert decode_answer(content, 2).decision is Decision.REFUSED
    of_14_patients = PrivacySettings(dp=replace(DP, delta=0.08))
    careless = replace(PRIVATE, name="third", privacy=of_14_patients)
    content = asking(home)(OFFER_QUERY, encode_offer(careless.to_text())).content
    assert decode_answer(content, 2).decision is Decision.REFUSED
    assert charges(home) == [("counts", 0), ("training", 1), ("training", 2)]


def test_a_plan_without_privacy_keeps_no_ledger_and_signs_nothing(home: Home) -> None:
    plainly = offer(model=tiny(classes=CLASSES), recipe=plain(epochs=1), rounds=1)
    ask, weights = joined(home, plainly), start(tiny(classes=CLASSES))
    reply = ask("train", encode_instruction(weights, 1, {}))
    assert LEDGER not in reply.content
    assert not home.ledger.exists()
    assert "privacy" not in json.loads(plainly.to_text())


def test_a_simulation_learns_the_last_layer_with_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        images = records(tmp_path, 24)
        write_clinic_split(tmp_path / "Graz", Splits(images[:18], images[18:23], images[23:]))
        plan = replace(
            PLAN,
            model=tiny(batch_norm="frozen"),
            recipe=plain(steps=3, optimizer="sgd"),
            rounds=2,
            class_counts=(6, 6, 6),
            dp=replace(DP, epsilon=1000.0, delta=1e-3),
        )
        clinics = (tmp_path / "Graz",)
        arm = Arm("federated", tmp_path / "arm", clinics, clinics, plan, "fedavg", "local", "none")
        arm.folder.mkdir()
        _train(arm)
        states = [load_state(arm.folder, number).weights for number in (1, 2)]
        layer = (8 + 1) * 3
        np.testing.assert_array_equal(states[0][:-layer], states[1][:-layer])
        assert (states[0][-layer:] != states[1][-layer:]).any()
        history = load_state(arm.folder).history
        assert [np.isnan(row.train_loss) for row in history] == [True, True]
        assert all(0 <= row.validation_balanced_accuracy <= 1 for row in history)


def test_a_rule_against_hostile_clinics_works_on_updates_with_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        images = records(tmp_path, 24)
        clinics = tuple(tmp_path / name for name in ("Graz", "Linz", "Wels"))
        for folder in clinics:  # the same images: but for the noise, the same step
            write_clinic_split(folder, Splits(images[:18], images[18:23], images[23:]))
        plan = replace(
            PLAN,
            model=tiny(batch_norm="frozen"),
            recipe=plain(steps=3, optimizer="sgd"),
            rounds=1,
            class_counts=(6, 6, 6),
            dp=replace(DP, epsilon=1e6, delta=1e-3, rate=1.0),
        )
        arm = Arm("federated", tmp_path / "arm", clinics, clinics, plan, "fedavg", "local", "none")
        median = replace(arm, robust=RobustSettings(rule="median"))
        median.folder.mkdir()
        _train(median)
        (row,) = load_state(median.folder).history
        assert (row.replied, row.left_out) == (3, "")
        assert all(np.isnan(one.share) for one in row.clinics)  # a median has none, a mean would
        assert np.isnan(row.train_loss)
