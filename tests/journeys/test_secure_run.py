"""A run by secure sums, from the plan's file to the last round: with consent, gate and audit log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message, RecordDict

from dermafed.client.commands.plans import describe
from dermafed.client.node.audit import read_log
from dermafed.client.node.clinic_settings import Limits
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.gate import filter_reply
from dermafed.client.node.offers import Offers
from dermafed.server.record.runs_table import Run, find_run
from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Answer,
    Decision,
    encode_answer,
    encode_ready,
    installed_versions,
)
from dermafed.shared.protocol.messages import Refusal, encode_instruction, encode_update
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
    SumAttempt,
    encode_step,
    encode_sum,
)
from dermafed.shared.training.trainer import Update
from dermafed.simulation.engines.local import become_server_task
from tests.journeys.secure_federation import NAMES, PARAMETERS, SECURE, SecureFederation, start

FOUR_STEPS = (SUM_KEYS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureFederation]:
    folder = tmp_path_factory.mktemp("secure")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERMAFED_CACHE", str(folder / "cache"))
        yield SecureFederation(folder)


@pytest.fixture(scope="module")
def first(federation: SecureFederation) -> Run:
    """A finished run; the limits of the clinics approve plans, but not a roster that nobody has seen."""
    run = federation.ask("first")
    with pytest.raises(FederationError, match="graz: waiting: someone there has to approve"):
        federation.execute("first")
    federation.approve(run.hash)
    federation.execute("first")
    return find_run(federation.record, "first")


def test_the_mean_and_the_counts_are_those_of_all_clinics(federation: SecureFederation, first: Run) -> None:
    counts = federation.training_counts(first)
    assert first.class_counts == tuple(np.sum(list(counts.values()), axis=0).tolist())
    images = [sum(counts[name]) for name in NAMES]
    moved = 2 * np.average([0.25, 0.5, 0.75, 1.0, 1.25], weights=images)  # in two rounds
    state = load_state(federation.folder / "runs" / first.folder_name)
    np.testing.assert_allclose(state.weights, start() + moved, atol=1e-6)
    loss = np.average([0.5, 1.5, 2.5, 3.5, 4.5], weights=images)
    assert [row.train_loss for row in state.history] == pytest.approx([loss, loss], abs=1e-4)
    right = 5 + 7 + 7 + 9 + 9  # of 10, 12, 14, 16 and 18 images
    assert [row.validation_accuracy for row in state.history] == [right / 70] * 2


def test_what_leaves_is_in_the_audit_log_and_shows_no_clinics_values(
    federation: SecureFederation, first: Run
) -> None:
    federation.ask("first-again", keys=f"{SECURE}\nseed = 3")
    del federation.answers[:]
    federation.execute("first-again")  # a roster that a person approved: the limits approve it
    for _, kind, content in federation.answers:
        assert content is not None, kind
        if kind == OFFER_QUERY:
            assert content.keys() == {"answer"}
        elif kind == PREPARE_QUERY:
            assert content["report"] == {"seconds": 0.0}
        else:
            assert content.keys() == {"sum"}
            assert isinstance(content["sum"], ArrayRecord)
            assert content["sum"].keys() == {"message"}
    left = Counter(kind for name, kind, _ in federation.answers if name == "graz")
    sums = {"counts": 1, "train": 2, "evaluate": 2}
    assert left == (
        {OFFER_QUERY: 1, PREPARE_QUERY: 1}
        | dict.fromkeys(FOUR_STEPS, 5)
        | {SUMMED[label]: count for label, count in sums.items()}  # type: ignore[index]
    )
    lines = read_log(federation.homes["graz"].audit)[-sum(left.values()) :]
    assert Counter(line.entry.kind for line in lines) == left


def test_a_person_sees_the_sums_and_the_keys_to_compare(federation: SecureFederation, first: Run) -> None:
    stored = Offers(federation.homes["graz"].offers).load(first.hash)
    assert stored is not None
    text = "\n".join(describe(stored, Limits()))
    assert "sums over at least 4 of these 5 clinics" in text
    assert all(f"{name}: SHA256:" in text for name in NAMES)
    assert "sends: in secure sums over clinics only: changes of the weights" in text


def asked(federation: SecureFederation, kind: str, content: RecordDict, classes: int = 2) -> Message:
    """A message to graz in the run of last, through its app and its gate."""
    become_server_task()
    home, number = federation.homes["graz"], federation.number
    message = Message(content, 1000, kind)
    reply = federation.apps["graz"](message, Context(number, 1000, {}, RecordDict(), {}))
    return filter_reply(reply, message, classes, secure=ClinicConsent(home).is_secure(number))


def test_nothing_is_answered_in_clear_in_a_secure_run(federation: SecureFederation, first: Run) -> None:
    content = encode_instruction(start(), 1, {})
    for kind in ("train", "train.head", "evaluate", "query.explain"):
        assert asked(federation, kind, content).error.code == Refusal.NOT_APPROVED, kind
    of = SumAttempt("train", 3, 1, PARAMETERS)  # beyond the plan
    assert asked(federation, SUM_KEYS, encode_step(of, b"")).error.code == Refusal.NOT_APPROVED


def test_the_gate_of_a_secure_run_holds_back_what_other_runs_send(first: Run) -> None:
    become_server_task()

    def out(kind: str, content: RecordDict, secure: bool) -> Message:
        request = Message(encode_instruction(start(), 1, {}), 1000, kind)
        return filter_reply(Message(content, reply_to=request), request, 2, secure=secure)

    answer = Answer(Decision.APPROVED, versions=installed_versions(), class_counts=np.array([3, 4]))
    for kind, content in {
        "train": encode_update(Update(start(), 7, {"loss": 0.5}), 1.5),
        OFFER_QUERY: encode_answer(answer),
        PREPARE_QUERY: encode_ready(1.5),
    }.items():
        assert out(kind, content, secure=False).has_content(), kind  # the control
        assert out(kind, content, secure=True).error.code == Refusal.HELD_BACK, kind
    masked = encode_sum(start().tobytes())  # bytes that are no message of the protocol
    for kind in (*FOUR_STEPS, *SUMMED.values()):
        assert out(kind, masked, secure=True).error.code == Refusal.HELD_BACK, kind


def test_another_roster_waits_for_a_person(federation: SecureFederation, first: Run) -> None:
    consent = ClinicConsent(federation.homes["graz"])
    context = Context(77, 1000, {}, RecordDict(), {})
    offer = Offer.from_text(first.offer)

    def decision(**changes: object) -> Decision:
        changed = {**offer.to_dict(), "name": "other", **changes}
        return consent.answer(json.dumps(changed), context).decision

    keys = dict(offer.roster)
    fewer = {name: key for name, key in keys.items() if name != "wels"}
    assert decision() is Decision.APPROVED
    assert decision(roster=fewer) is Decision.WAITING
    assert decision(privacy={"aggregation": "secure", "colluders": 0}) is Decision.WAITING
    assert decision(privacy={"aggregation": "secure", "colluders": 2}) is Decision.APPROVED
    assert decision(roster={**keys, "graz": keys["linz"], "linz": keys["graz"]}) is Decision.REFUSED
    assert decision(roster={}) is Decision.REFUSED
    assert decision(roster={name: fewer[name] for name in ("graz", "linz", "vienna")}) is Decision.REFUSED


def test_a_worker_that_starts_again_in_a_sum_has_dropped_out_of_it(
    federation: SecureFederation, first: Run
) -> None:
    federation.ask("restarted", rounds=1, keys=f"{SECURE}\nseed = 5")

    def restart(name: str, message: Message) -> None:
        if (name, message.metadata.message_type) == ("linz", SUMMED["train"]):
            federation.restart("linz")

    federation.before = restart
    folder = federation.execute("restarted")
    federation.before = lambda name, message: None
    (row,) = load_state(folder).history
    assert row.left_out == "linz: training failed there (FederationError); its own log says why"
    assert row.replied == 4
    assert row.validation_accuracy == 37 / 70  # in the next sum it is there again


def test_the_clinics_are_counted_once(federation: SecureFederation, first: Run) -> None:
    """A server that dies after the count goes on with it: no clinic would count again."""
    run = federation.ask("died", rounds=1, keys=f"{SECURE}\nseed = 6")

    class Died(Exception):
        pass

    def die(name: str, message: Message) -> None:
        if message.metadata.message_type == PREPARE_QUERY:
            raise Died

    federation.before = die
    with pytest.raises(Died):
        federation.execute("died")
    federation.before = lambda name, message: None
    del federation.answers[:]
    federation.execute("died")
    assert SUMMED["counts"] not in {kind for _, kind, _ in federation.answers}
    assert find_run(federation.record, "died").class_counts == first.class_counts
    assert load_state(federation.folder / "runs" / run.folder_name).history[0].replied == 5


def test_a_plan_of_too_few_clinics_is_refused_before_anyone_is_asked(federation: SecureFederation) -> None:
    with pytest.raises(SettingsError, match="3 clinics, of which 1 may act with the server"):
        federation.ask("few", keys=f'{SECURE}\nclinics = ["graz", "linz", "wels"]')


def test_the_same_plan_without_the_key_shows_the_server_each_update(federation: SecureFederation) -> None:
    """The control: what the gate and the audit log show of a run without secure sums."""
    federation.ask("plain", rounds=1, keys="calibrate = false")
    del federation.answers[:]
    federation.execute("plain")
    assert {kind for _, kind, _ in federation.answers} == {OFFER_QUERY, PREPARE_QUERY, "train", "evaluate"}
    content = next(content for name, kind, content in federation.answers if (name, kind) == ("graz", "train"))
    assert content is not None
    np.testing.assert_array_equal(content["weights"]["weights"].numpy(), start() + np.float32(0.25))  # type: ignore[index, union-attr]
