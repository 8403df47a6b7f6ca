"""A hostile coordinator with a run that a clinic approved, and the clinic's real node, over TLS.

It wants the score of single images: from more models, more rounds, or the same question again. The same
questions to the app, without a node, are in tests/client/node/test_consent.py, which is quick.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flwr.app import Context, Message, RecordDict

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.health import read_status
from dermafed.client.node.home import Home
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Decision,
    decode_answer,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.messages import (
    EXPLAIN_QUERY,
    Refusal,
    decode_evaluation,
    encode_instruction,
)
from dermafed.shared.protocol.node_key import read_public_key
from dermafed.shared.training.trainer import FloatVector
from tests.client.certificates import certificate
from tests.client.planted_clinic import clinic, data_set, joined, offer
from tests.client.superlink import SuperLink, superlink
from tests.faults.processes import Processes, wait_for
from tests.server.small_clinics import start_weights, trainer_for

pytestmark = pytest.mark.slow

CLASSES = 2
NOT_APPROVED = int(Refusal.NOT_APPROVED)


@dataclass
class Hostile:
    """A server of its own code, and the node of a clinic that trusts it."""

    server: SuperLink
    home: Home
    number: int
    nodes: Processes

    def ask(self, kind: str, content: RecordDict) -> Message:
        return self.server.ask(self.number, kind, content)

    def work(self, kind: str, model: FloatVector, round: int = 1, **config: float) -> Message:
        return self.ask(kind, encode_instruction(model, round, config))

    def refuses(self, kind: str, model: FloatVector, round: int = 1, **config: float) -> bool:
        reply = self.work(kind, model, round, **config)
        return reply.has_error() and reply.error.code == NOT_APPROVED

    def offer(self, text: str) -> Decision:
        return decode_answer(self.ask(OFFER_QUERY, encode_offer(text)).content, CLASSES).decision

    def restart_worker(self) -> None:
        """As after a crash, or an update of the clinic's machine."""
        (worker,) = self.nodes.numbers("graz", "dermafed.client.node.worker")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: self.nodes.numbers("graz", "dermafed.client.node.worker") not in ([], [worker]))
        wait_for(self.is_ready)

    def is_ready(self) -> bool:
        status = read_status(self.home.node)
        return status is not None and status.ready


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """With a run of three rounds that the clinic's limits approve."""
    folder = tmp_path_factory.mktemp("hostile")
    with superlink(folder, certificate(folder / "tls")) as server:
        home = clinic(folder / "graz", data_set(folder / "data"), policy='"limits"')
        joined(home, server.address, folder / "tls" / "ca.pem")
        nodes = Processes(folder)
        command = "from client.cli import main; main()"
        nodes.start("graz", "-c", command, "start", "--dir", home.folder)
        try:
            number = server.enrol(read_public_key(home.public_key), "graz")
            made = Hostile(server, home, number, nodes)
            wait_for(made.is_ready)
            yield made
        finally:
            nodes.kill("graz")


@pytest.fixture(scope="module")
def models(hostile: Hostile) -> tuple[FloatVector, FloatVector]:
    """The model that is evaluated, and one that differs in one weight; the run is approved and trained."""
    plan = offer(rounds=2)
    honest = to_flat(build_classifier(plan.model))
    made_up = honest.copy()
    made_up[-1] += 1
    assert hostile.offer(plan.to_text()) is Decision.APPROVED
    assert not hostile.ask(PREPARE_QUERY, encode_counts([20, 30])).has_error()
    assert not hostile.work("train", honest).has_error()
    return honest, made_up


def test_a_model_again_gets_the_same_reply_and_another_one_none(
    hostile: Hostile, models: tuple[FloatVector, FloatVector]
) -> None:
    honest, made_up = models
    first = hostile.work("evaluate", honest)
    evaluation, _ = decode_evaluation(first.content, CLASSES)
    assert evaluation.images > 0
    assert hostile.refuses("evaluate", made_up)
    hostile.restart_worker()
    assert hostile.refuses("evaluate", made_up)
    again = hostile.work("evaluate", honest)
    assert again.content.object_id == first.content.object_id  # the seconds of work too


def test_there_are_no_other_rounds_trainings_and_queries(
    hostile: Hostile, models: tuple[FloatVector, FloatVector]
) -> None:
    honest, _ = models
    made_up = honest[:3]  # what it weighs does not matter
    for round in (0, -5, 3):
        assert hostile.refuses("evaluate", made_up, round)
        assert hostile.refuses("train", made_up, round)
    assert hostile.refuses("train", made_up)
    assert hostile.refuses("train", honest, proximal_mu=1.0)
    assert hostile.refuses(EXPLAIN_QUERY, made_up)  # not part of the plan


def test_no_other_plan_is_approved_by_the_limits(hostile: Hostile) -> None:
    """The same plan under a new name is counted as a plan of its own: people see it."""
    plan = offer(name="second")
    text = plan.to_text()
    for key, value in (
        ('"epsilon":null', '"epsilon":0.5'),
        ('"rounds":3', '"rounds":2.5'),
        ('"batch_size":16', '"batch_size":1'),
        ('"image_size":32', '"image_size":100000'),
        ('"threads":null', '"threads":-1'),
    ):
        assert key in text
        assert hostile.offer(text.replace(key, value)) is Decision.REFUSED
    assert hostile.offer("{" * 10_000) is Decision.REFUSED
    assert hostile.offer(text[:-1] + '," \\u001b[2J":1}') is Decision.REFUSED
    assert "\x1b" not in (hostile.home.node / "worker.log").read_text("utf-8")


def test_a_clinic_without_consent_answers_everything(hostile: Hostile) -> None:
    """The control: the same app, as a simulation has it."""
    app = build_client_app(trainer_for)
    context = Context(1, 2, {"partition-id": 1}, RecordDict(), {})
    for round in (1, 1, 0, -5):
        for model in (start_weights(), start_weights() + 1):
            message = Message(encode_instruction(model, round, {}), 2, "evaluate")
            assert not app(message, context).has_error()
