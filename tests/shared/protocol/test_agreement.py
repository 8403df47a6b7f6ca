"""The messages before a run: offers, answers and counts are decoded as encoded; nothing else is accepted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.agreement import (
    Answer,
    Decision,
    Reason,
    decode_answer,
    decode_counts,
    decode_offer,
    decode_ready,
    encode_answer,
    encode_counts,
    encode_offer,
    encode_ready,
)
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.recipe import Recipe

OFFER = Offer(
    name="first",
    model=ModelSettings(classes=("melanoma", "nevus"), image_size=64),
    preprocess=PreprocessSettings(image_size=64),
    recipe=Recipe(epochs=0.25),
    rounds=3,
    labels={"MM": "melanoma"},
)


def test_an_offer_is_decoded_with_the_same_hash() -> None:
    there = Offer.from_text(decode_offer(encode_offer(OFFER.to_text())))
    assert there == OFFER
    assert there.hash == OFFER.hash
    assert len(OFFER.hash) == 64


@pytest.mark.parametrize(
    "change", [{"rounds": 4}, {"explain": True}, {"seed": 1}, {"epsilon": 8.0}, {"sends": []}]
)
def test_every_change_of_an_offer_changes_its_hash(change: dict[str, object]) -> None:
    other = Offer.from_text(json.dumps(json.loads(OFFER.to_text()) | change))
    assert other.hash != OFFER.hash


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps(json.loads(OFFER.to_text()) | {"code": "rm"}),
        OFFER.to_text().replace("3", "0"),
    ],
)
def test_text_that_is_not_an_offer_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Offer.from_text(text)


def test_an_offer_becomes_a_plan_with_the_counts_of_those_who_join() -> None:
    plan = OFFER.plan([3, 5], threads=2)
    assert (plan.class_counts, plan.rounds, plan.threads) == ((3, 5), 3, 2)


def test_an_approval_has_versions_and_counts() -> None:
    answer = Answer(Decision.APPROVED, versions={"dermafed": "0.1.0"}, class_counts=np.array([3, 5]))
    there = decode_answer(encode_answer(answer), 2)
    assert (there.decision, there.versions) == (Decision.APPROVED, {"dermafed": "0.1.0"})
    assert there.class_counts is not None
    assert there.class_counts.tolist() == [3, 5]


def test_a_refusal_has_its_reason() -> None:
    there = decode_answer(encode_answer(Answer(Decision.REFUSED, Reason.BY_HAND)), 2)
    assert (there.decision, there.reason, there.class_counts) == (Decision.REFUSED, Reason.BY_HAND, None)


@pytest.mark.parametrize(
    "record", [{"decision": "approved", "reason": "Jane Doe"}, {"decision": "maybe", "reason": ""}, {}]
)
def test_an_unknown_answer_is_refused(record: dict[str, str]) -> None:
    with pytest.raises(FederationError):
        decode_answer(RecordDict({"answer": ConfigRecord(record)}), 2)


def test_counts_and_seconds_are_decoded_as_encoded() -> None:
    assert decode_counts(encode_counts([1, 2]), 2).tolist() == [1, 2]
    assert decode_ready(encode_ready(1.5)) == 1.5
    with pytest.raises(FederationError, match="fewer than 0"):
        decode_counts(encode_counts([1, -2]), 2)
    with pytest.raises(FederationError, match=r"\(2,\)"):
        decode_counts(encode_counts([1, 2]), 3)
