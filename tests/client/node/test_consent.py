"""The answers of the clinic's app, by the consent in the clinic's folder; without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home
from dermafed.client.node.offers import Offers
from dermafed.shared.explain.quality.quality_sums import MEASURES, ExplanationQuality
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Decision,
    Reason,
    decode_answer,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.messages import EXPLAIN_QUERY, Refusal, encode_instruction
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import become_server_task
from tests.client.planted_clinic import OFFER, clinic, data_set, offer

WEIGHTS = np.zeros(3, np.float32)
QUALITY = ExplanationQuality.from_scores([{next(iter(MEASURES)): 0.5}] * 5)


class Still:
    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        return Update(weights, 1, {})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        raise AssertionError


@dataclass
class Asking:
    """A server that asks the clinic's app directly."""

    home: Home

    def __call__(self, kind: str, content: RecordDict, run: int = 1) -> Message:
        become_server_task()
        consent = ClinicConsent(self.home)
        app = build_client_app(
            lambda context: Still(), lambda context: lambda weights, round: QUALITY, consent
        )
        return app(Message(content, 1000, kind), Context(run, 1000, {}, RecordDict(), {}))

    def train(self, round: int = 1, run: int = 1) -> Message:
        return self("train", encode_instruction(WEIGHTS, round, {}), run)


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
