"""The worker's app with real trainers: the same update as a simulation's trainer gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from dermafed.client.node.clinic_trainer import build_clinic_trainer
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home
from dermafed.client.node.node_app import build_node_app
from dermafed.client.node.saved_models import list_saved_models
from dermafed.shared.process import cores
from dermafed.shared.protocol.agreement import OFFER_QUERY, PREPARE_QUERY, encode_counts, encode_offer
from dermafed.shared.protocol.messages import CALIBRATE_QUERY, Refusal, decode_update, encode_instruction
from dermafed.simulation.engines.local import become_server_task
from tests.client.planted_clinic import clinic, data_set, offer
from tests.shared.training.tiny import plain, start, tiny, tiny_backbones

MODEL = tiny(classes=("melanoma", "nevus"))
SMALL_OFFER = offer(model=MODEL, recipe=plain(epochs=1), rounds=2)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    with tiny_backbones():
        yield clinic(tmp_path / "graz", data_set(tmp_path / "data"), policy='"limits"')


def joined_app(home: Home) -> Callable[[str, RecordDict], Message]:
    """Asks the app of a clinic that has joined the run."""
    app, _ = build_node_app(home)
    context = Context(1, 1000, {}, RecordDict(), {})

    def ask(kind: str, content: RecordDict) -> Message:
        become_server_task()
        return app(Message(content, 1000, kind), context)

    ask(OFFER_QUERY, encode_offer(SMALL_OFFER.to_text()))
    assert ask(PREPARE_QUERY, encode_counts([9, 8])).has_content()
    return ask


@pytest.mark.parametrize("kind", ["evaluate", CALIBRATE_QUERY])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_is_not_finite_is_not_saved(home: Home, kind: str, value: float) -> None:
    ask, good = joined_app(home), start(MODEL)
    assert ask("evaluate", encode_instruction(good, 1, {})).has_content()
    bad = good.copy()
    bad[-1] = value
    assert ask(kind, encode_instruction(bad, 2, {})).error.reason == "FederationError"
    (saved,) = list_saved_models(home.models)
    assert saved.card.round == 1
    np.testing.assert_array_equal(saved.weights(), good)


def test_finite_weights_whose_outputs_are_not_are_not_saved(home: Home) -> None:
    ask = joined_app(home)
    bad = np.full_like(start(MODEL), np.float32(-1e6))  # also of variances
    assert ask("evaluate", encode_instruction(bad, 1, {})).has_error()
    assert list_saved_models(home.models) == []


def test_a_run_trains_as_a_simulation_does_and_saves_the_model(home: Home) -> None:
    app, consent = build_node_app(home)
    context = Context(1, 1000, {}, RecordDict(), {})

    def ask(kind: str, content: RecordDict) -> Message:
        become_server_task()
        return app(Message(content, 1000, kind), context)

    weights = start(MODEL)
    asked = encode_instruction(weights, 1, {})
    assert ask("train", asked).error.code == Refusal.NOT_APPROVED
    ask(OFFER_QUERY, encode_offer(SMALL_OFFER.to_text()))
    assert ask("train", asked).error.reason == "FederationError"  # the counts are not known yet
    assert ask(PREPARE_QUERY, encode_counts([9, 8])).has_content()
    update, _ = decode_update(ask("train", asked).content, weights.size)

    approved = ClinicConsent(home).approved(context)
    assert approved.plan == SMALL_OFFER.plan([9, 8], threads=cores())
    alone = build_clinic_trainer(approved.folder.split, approved.plan, home.folder / "other")
    assert alone.data.images.shape == (14, 32, 32, 3)
    np.testing.assert_array_equal(update.weights, alone.train(weights, 1, {}).weights)
    assert ask("evaluate", encode_instruction(update.weights, 1, {})).has_content()
    (saved,) = list_saved_models(home.models)
    np.testing.assert_array_equal(saved.weights(), update.weights)
    assert (saved.card.round, saved.card.model) == (1, MODEL)
    assert consent.classes(1) == 2
