"""The answers of the clinic's app, by the consent in the clinic's folder; without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from dermafed.client.node import offers as offers_module
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home
from dermafed.client.node.offers import Offers
from dermafed.shared.explain.quality.quality_sums import MEASURES, ExplanationQuality
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.metrics.shortcuts.shortcut_sums import ShortcutSums
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Decision,
    Reason,
    decode_answer,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.messages import (
    AUDIT_QUERY,
    EXPLAIN_QUERY,
    HEAD_TRAIN,
    LESIONS_QUERY,
    SLOPES_TRAIN,
    Refusal,
    encode_instruction,
)
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.slope_messages import encode_slopes_request
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import become_server_task
from tests.client.planted_clinic import OFFER, clinic, data_set, offer
from tests.shared.metrics.shortcuts.sample_audit import sample_sums

WEIGHTS = np.zeros(3, np.float32)
QUALITY = ExplanationQuality.from_scores([{next(iter(MEASURES)): 0.5}] * 5)


COUNTS = ClinicEvaluation.from_predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))


@dataclass
class Still:
    """Counts what it computes."""

    computed: list[str]

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        self.computed.append(f"train {round}")
        return Update(weights, 1, {})

    def head_sums(self, weights: FloatVector, round: int) -> HeadSums:
        self.computed.append(f"head {round}")
        return HeadSums.of(np.eye(2), np.arange(2), np.ones(2))

    def head_slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        self.computed.append(f"slopes {round}")
        return SlopeSums.of(np.eye(2)[:, :1], np.arange(2), np.ones(2), head)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        self.computed.append(f"evaluate {round}")
        return COUNTS


@dataclass
class Masked:
    """A clinic's part in a lesion finder, which counts how often it is asked."""

    computed: list[str]

    def sums(self, weights: FloatVector) -> FinderSums:
        self.computed.append("lesions")
        return FinderSums.of(np.eye(20).reshape(20, 2, 2, 5), np.full((20, 2, 2), 0.5))


@dataclass
class Asking:
    """A server that asks the clinic's app directly."""

    home: Home
    computed: list[str] = field(default_factory=list)

    def __call__(self, kind: str, content: RecordDict, run: int = 1) -> Message:
        become_server_task()
        consent = ClinicConsent(self.home)
        app = build_client_app(
            lambda context: Still(self.computed),
            lambda context: lambda weights, round: QUALITY,
            consent,
            finder_for=lambda context: Masked(self.computed),  # type: ignore[arg-type, return-value]
            audit_for=lambda context: self.audit,
        )
        return app(Message(content, 1000, kind), Context(run, 1000, {}, RecordDict(), {}))

    def audit(self, weights: FloatVector, round: int) -> ShortcutSums:
        self.computed.append("audit")
        return sample_sums()

    def train(self, round: int = 1, run: int = 1, weights: float = 0) -> Message:
        return self("train", encode_instruction(WEIGHTS + np.float32(weights), round, {}), run)

    def evaluate(self, round: int = 1, run: int = 1, weights: float = 0) -> Message:
        return self("evaluate", encode_instruction(WEIGHTS + np.float32(weights), round, {}), run)

    def offer(self, run: int = 1, **changes: object) -> None:
        assert self(OFFER_QUERY, encode_offer(offer(**changes).to_text()), run).has_content()


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    return Asking(clinic(tmp_path / "graz", data_set(tmp_path / "data"), policy='"limits"', max_rounds="3"))


def test_an_approved_run_has_its_rounds_and_no_more(ask: Asking) -> None:
    assert ask.train().error.code == Refusal.NOT_APPROVED
    answer = decode_answer(ask(OFFER_QUERY, encode_offer(OFFER.to_text())).content, 2)
    assert (answer.decision, answer.versions["numpy"]) == (Decision.APPROVED, np.__version__)
    assert ask(PREPARE_QUERY, encode_counts([9, 9])).has_content()
    assert ask.train(3).has_content()
    assert ask.train(4).error.code == Refusal.NOT_APPROVED
    assert ask.train(1, run=2).error.code == Refusal.NOT_APPROVED
    known = Offers(ask.home.offers).load(OFFER.hash)
    assert known is not None
    assert (known.by, known.class_counts, known.runs) == ("limits", (9, 9), (1,))


def test_a_refusal_counts_from_the_next_message_on(ask: Asking) -> None:
    ask(OFFER_QUERY, encode_offer(OFFER.to_text()))
    assert ask.train().has_content()
    Offers(ask.home.offers).decide(OFFER.hash, Decision.REFUSED)
    assert ask.train().error.code == Refusal.NOT_APPROVED
    answer = decode_answer(ask(OFFER_QUERY, encode_offer(OFFER.to_text()), run=2).content, 2)
    assert (answer.decision, answer.reason) == (Decision.REFUSED, Reason.BY_HAND)


def test_the_limits_approve_so_many_plans_and_then_ask_a_person(tmp_path: Path) -> None:
    ask = Asking(clinic(tmp_path / "graz", data_set(tmp_path / "data"), policy='"limits"', max_plans="2"))
    offers = [offer(name=f"plan {number}") for number in range(3)]

    def decision(number: int) -> Decision:
        content = ask(OFFER_QUERY, encode_offer(offers[number].to_text()), number + 1).content
        return decode_answer(content, 2).decision

    assert [decision(number) for number in (0, 1, 2)] == [Decision.APPROVED] * 2 + [Decision.WAITING]
    assert decision(0) is Decision.APPROVED  # the same plan again is none more
    assert ask.train(1, run=3).error.code == Refusal.NOT_APPROVED
    Offers(ask.home.offers).decide(offers[2].hash, Decision.APPROVED)
    assert decision(2) is Decision.APPROVED
    assert decision(1) is Decision.APPROVED  # a person's approvals do not count


def test_plans_of_more_than_a_month_ago_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = clinic(tmp_path / "graz", data_set(tmp_path / "data"), policy='"limits"', max_plans="1")
    ask = Asking(home)
    ask.offer(name="before")
    offers = Offers(home.offers)
    assert offers.count_approved_by_limits(other_than="") == 1
    monkeypatch.setattr(offers_module, "_LATELY", timedelta(seconds=-1))
    assert offers.count_approved_by_limits(other_than="") == 0


@pytest.mark.parametrize("asked", [True, False])
def test_sums_for_a_lesion_finder_leave_only_if_the_plan_asks_and_once(ask: Asking, asked: bool) -> None:
    ask.offer(lesion_finder=asked)
    for _ in range(2):  # the same request has the same reply
        assert ask(LESIONS_QUERY, encode_instruction(WEIGHTS, 3, {})).has_content() == asked
    assert ask(LESIONS_QUERY, encode_instruction(WEIGHTS + 1, 3, {})).error.code == Refusal.NOT_APPROVED
    assert ask.computed == ["lesions"] * asked


@pytest.mark.parametrize("asked", [True, False])
def test_an_audit_leaves_only_if_the_plan_asks_and_once(ask: Asking, asked: bool) -> None:
    ask.offer(audit_model=asked)
    for _ in range(2):
        assert ask(AUDIT_QUERY, encode_instruction(WEIGHTS, 3, {})).has_content() == asked
    assert ask(AUDIT_QUERY, encode_instruction(WEIGHTS + 1, 3, {})).error.code == Refusal.NOT_APPROVED
    assert ask.computed == ["audit"] * asked


@pytest.mark.parametrize("explain", [True, False])
def test_explanations_are_measured_only_if_the_plan_asks(ask: Asking, explain: bool) -> None:
    ask(OFFER_QUERY, encode_offer(offer(explain=explain).to_text()))
    assert ask(EXPLAIN_QUERY, encode_instruction(WEIGHTS, 3, {})).has_content() == explain


def test_every_reason_for_a_refusal_is_answered(ask: Asking) -> None:
    for text, reason in (
        (offer(rounds=4).to_text(), Reason.BEYOND_LIMITS),
        ("{}", Reason.UNREADABLE),
        (offer(sends=()).to_text(), Reason.OTHER_VERSION),
    ):
        answer = decode_answer(ask(OFFER_QUERY, encode_offer(text)).content, 2)
        assert (answer.decision, answer.reason) == (Decision.REFUSED, reason)
    settings = ask.home.settings_file
    settings.write_text(re.sub("\ndata = .*", '\ndata = "nowhere"', settings.read_text()))
    answer = decode_answer(ask(OFFER_QUERY, encode_offer(OFFER.to_text())).content, 2)
    assert (answer.decision, answer.reason) == (Decision.REFUSED, Reason.NO_DATA)


def test_nothing_is_prepared_without_an_approval(ask: Asking) -> None:
    ask(OFFER_QUERY, encode_offer(offer(rounds=4).to_text()))
    assert ask(PREPARE_QUERY, encode_counts([9, 9])).error.code == Refusal.NOT_APPROVED


def refused(reply: Message) -> bool:
    return reply.has_error() and reply.error.code == Refusal.NOT_APPROVED


def test_a_round_has_one_training_and_one_evaluation_in_order(ask: Asking) -> None:
    ask.offer()
    assert ask.train(1).has_content()
    assert refused(ask.train(1, weights=1))
    assert ask.evaluate(1).has_content()
    assert refused(ask.evaluate(1, weights=1))
    assert refused(ask.train(1, weights=2))
    assert ask.evaluate(2).has_content()  # it missed the training of round 2
    assert refused(ask.train(2))
    assert refused(ask.evaluate(1, weights=3))
    assert ask.train(3).has_content()
    assert ask.computed == ["train 1", "evaluate 1", "evaluate 2", "train 3"]


def test_the_exact_heads_sums_are_part_of_its_plans_only(ask: Asking) -> None:
    ask.offer()
    assert refused(ask(HEAD_TRAIN, encode_instruction(WEIGHTS, 1, {})))
    ask.offer(run=2, strategy="exact-head", rounds=1)
    assert ask(HEAD_TRAIN, encode_instruction(WEIGHTS, 1, {}), run=2).has_content()
    assert refused(ask(HEAD_TRAIN, encode_instruction(WEIGHTS + np.float32(1), 1, {}), run=2))
    assert refused(ask.train(1, run=2, weights=2))  # the round's training is done
    assert ask.evaluate(1, run=2).has_content()
    assert ask.computed == ["head 1", "evaluate 1"]


def slopes_at(bias: float, round: int = 4, weights: float = 0) -> RecordDict:
    head = LinearHead(np.zeros((1, 2)), np.array([bias, 0.0]))
    return encode_slopes_request(WEIGHTS + np.float32(weights), round, head)


def test_the_last_layer_is_trained_anew_in_a_round_after_the_last(ask: Asking) -> None:
    """By sums once, and slopes at so many heads on the same features, where the plan says so."""
    ask.offer()
    assert refused(ask(HEAD_TRAIN, encode_instruction(WEIGHTS, 4, {})))
    assert refused(ask(SLOPES_TRAIN, slopes_at(0)))
    ask.offer(run=2, refit="logistic")
    assert refused(ask.train(4, run=2))
    assert refused(ask(SLOPES_TRAIN, slopes_at(0), run=2))  # before the sums
    assert ask(HEAD_TRAIN, encode_instruction(WEIGHTS, 4, {}), run=2).has_content()
    assert refused(ask(SLOPES_TRAIN, slopes_at(0, weights=1), run=2))
    for point in range(48):
        assert ask(SLOPES_TRAIN, slopes_at(point), run=2).has_content()
    assert refused(ask(SLOPES_TRAIN, slopes_at(48), run=2))
    assert ask(SLOPES_TRAIN, slopes_at(0), run=2).has_content()  # the same again
    assert ask.evaluate(4, run=2).has_content()
    assert refused(ask(HEAD_TRAIN, encode_instruction(WEIGHTS, 5, {}), run=2))
    assert ask.computed == ["head 4", *["slopes 4"] * 48, "evaluate 4"]


def test_there_are_no_slopes_after_the_evaluation(ask: Asking) -> None:
    ask.offer(refit="logistic")
    assert ask(HEAD_TRAIN, encode_instruction(WEIGHTS, 4, {})).has_content()
    assert ask.evaluate(4).has_content()
    assert refused(ask(SLOPES_TRAIN, slopes_at(0)))


@pytest.mark.parametrize("round", [0, -5, 4])
def test_there_are_no_rounds_beyond_the_plans(ask: Asking, round: int) -> None:
    ask.offer(explain=True)
    assert refused(ask.train(round))
    assert refused(ask.evaluate(round))
    assert refused(ask(EXPLAIN_QUERY, encode_instruction(WEIGHTS, round, {})))


def test_a_request_again_gets_the_same_reply_and_computes_nothing(ask: Asking) -> None:
    ask.offer()
    first = [ask.train(1), ask.evaluate(1)]
    ask.offer(run=2)  # the same plan in another run, at a node that started again
    for run in (1, 2):
        again = [ask.train(1, run), ask.evaluate(1, run)]
        assert [each.content.object_id for each in again] == [each.content.object_id for each in first]
    assert ask.computed == ["train 1", "evaluate 1"]
    assert refused(ask.evaluate(1, run=2, weights=1))


def test_a_reply_of_long_before_is_not_computed_again(ask: Asking) -> None:
    ask.home.settings_file.write_text(ask.home.settings_file.read_text().replace("rounds = 3", "rounds = 9"))
    ask.offer(rounds=9)
    for round in range(1, 6):
        ask.train(round)
    assert refused(ask.train(1))
    assert ask.train(4).has_content()
    assert len(ask.computed) == 5


def test_a_training_that_failed_may_be_asked_again(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    ask.offer()
    with monkeypatch.context() as patch:
        patch.setattr(Still, "train", lambda *_: 1 / 0)
        assert ask.train(1).error.code == Refusal.TRAINING_FAILED
    assert ask.train(1).has_content()


def test_explanations_are_measured_once(ask: Asking) -> None:
    ask.offer(explain=True)
    first, second = (encode_instruction(WEIGHTS + np.float32(each), 3, {}) for each in (0, 1))
    reply = ask(EXPLAIN_QUERY, first)
    assert ask(EXPLAIN_QUERY, first).content.object_id == reply.content.object_id
    assert refused(ask(EXPLAIN_QUERY, second))


def test_a_list_of_answers_that_is_damaged_stops_the_run(ask: Asking) -> None:
    ask.offer()
    ask.train(1)
    (path,) = ask.home.offers.glob("*/answers/answered.json")
    path.write_text("[")
    assert ask.train(2).error.reason == "StorageError"


def approved_by_hand(ask: Asking, plan: Offer, run: int = 1) -> None:
    """As a home of an earlier version may have it, or one whose person wrote the file."""
    offers = Offers(ask.home.offers)
    offers.add(plan, run, (Decision.WAITING, Reason.ASKS_A_PERSON))
    offers.decide(plan.hash, Decision.APPROVED)


@pytest.mark.parametrize("changes", [{"epsilon": 0.5}, {"recipe": replace(OFFER.recipe, batch_size=1)}])
def test_what_nobody_can_approve_does_not_run(ask: Asking, changes: dict[str, Any]) -> None:
    plan = offer(**changes)
    approved_by_hand(ask, plan)
    answer = decode_answer(ask(OFFER_QUERY, encode_offer(plan.to_text())).content, 2)
    assert (answer.decision, answer.reason) == (Decision.REFUSED, Reason.BEYOND_LIMITS)
    assert refused(ask(PREPARE_QUERY, encode_counts([9, 9])))
    assert refused(ask.train(1))


def test_a_round_on_a_few_images_is_not_approved(ask: Asking) -> None:
    settings = ask.home.settings_file
    settings.write_text(settings.read_text().replace("min_images = 8", "min_images = 15"))
    answer = decode_answer(ask(OFFER_QUERY, encode_offer(OFFER.to_text())).content, 2)
    assert (answer.decision, answer.reason) == (Decision.REFUSED, Reason.BEYOND_LIMITS)
    assert refused(ask(PREPARE_QUERY, encode_counts([9, 9])))
