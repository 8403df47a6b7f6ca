"""The agreement before a run, over real messages in process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp

from dermafed.server.coordinator.agree import Agreement, agree
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.errors import FederationError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.agreement import (
    OFFER,
    PREPARE,
    Answer,
    Decision,
    Reason,
    decode_counts,
    decode_offer,
    encode_answer,
    encode_ready,
)
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.recipe import Recipe
from dermafed.simulation.engines.local import LocalGrid, NodeInfo, become_server_task

NAMES = ("vienna", "graz", "linz")
OFFERED = Offer(
    name="first",
    model=ModelSettings(classes=("melanoma", "nevus"), image_size=64),
    preprocess=PreprocessSettings(image_size=64),
    recipe=Recipe(epochs=0.25),
    rounds=3,
)
VERSIONS = {name: version(name) for name in ("dermafed", "flwr", "keras")}
COUNTS = {0: [3, 5], 1: [7, 0], 2: [1, 11]}


def joining(partition: int, counts: Iterable[int] | None = None, **versions: str) -> Answer:
    class_counts = np.array(COUNTS[partition] if counts is None else list(counts), np.int64)
    return Answer(Decision.APPROVED, versions={**VERSIONS, **versions}, class_counts=class_counts)


def declined(reason: Reason, decision: Decision = Decision.REFUSED) -> Answer:
    return Answer(decision, reason, VERSIONS)


Says = Callable[[], Answer | Error]


class Clinics:
    """Three clinics that join, unless a response is given; records the counts that they prepare with."""

    def __init__(self, responses: dict[int, Says] | None = None, unready: set[int] | None = None) -> None:
        self.responses, self.unready = responses or {}, unready or set[int]()
        self.offers: list[tuple[int, str]] = []
        self.prepared: list[tuple[int, list[int]]] = []
        self.answers: list[tuple[str, str, str]] = []

    def on_answer(self, clinic: str, answer: Answer, why: str) -> None:
        self.answers.append((clinic, answer.decision.value, why))

    def app(self) -> ClientApp:
        app = ClientApp()

        @app.query(OFFER)
        def offer(message: Message, context: Context) -> Message:
            partition = int(context.node_config["partition-id"])
            self.offers.append((partition, decode_offer(message.content)))
            answer = self.responses.get(partition, lambda: joining(partition))()
            content = answer if isinstance(answer, Error) else encode_answer(answer)
            return Message(content, reply_to=message)

        @app.query(PREPARE)
        def prepare(message: Message, context: Context) -> Message:
            partition = int(context.node_config["partition-id"])
            if partition in self.unready:
                return Message(Error(1001, "OSError"), reply_to=message)
            self.prepared.append((partition, decode_counts(message.content, 2).tolist()))
            return Message(encode_ready(0.0), reply_to=message)

        return app

    def agree(self, seconds: float = 0.0, grid: LocalGrid | None = None, **rules: Any) -> Agreement:
        become_server_task()
        grid = grid or LocalGrid(self.app(), NAMES)
        clinics = {1000 + i: name for i, name in enumerate(NAMES)}
        return agree(
            grid,
            clinics,
            OFFERED,
            RoundRules(3, 3, **{"quorum": 2, **rules}),
            seconds,
            on_answer=self.on_answer,
        )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dermafed.server.coordinator.agree._RETRY_SECONDS", (0.01, 0.02))


def test_all_join_and_prepare_with_the_sum_of_their_counts() -> None:
    clinics = Clinics()
    agreed = clinics.agree(seconds=600)
    assert agreed.joined == {1000: "vienna", 1001: "graz", 1002: "linz"}
    assert agreed.class_counts == (11, 16)
    assert agreed.left_out == {}
    assert set(agreed.answers) == set(NAMES)
    assert sorted(clinics.prepared) == [(i, [11, 16]) for i in range(3)]
    assert [text for _, text in clinics.offers] == [OFFERED.to_text()] * 3


def test_waiting_clinics_are_asked_again_and_decided_ones_are_not() -> None:
    waits = iter([Decision.WAITING, Decision.WAITING])

    def decide_at_second_call() -> Answer:
        return declined(Reason.ASKS_A_PERSON, wait) if (wait := next(waits, None)) else joining(1)

    clinics = Clinics({1: decide_at_second_call, 2: lambda: declined(Reason.BY_HAND)})
    agreed = clinics.agree(seconds=60)
    assert sorted(partition for partition, _ in clinics.offers) == [0, 1, 1, 1, 2]
    assert agreed.joined == {1000: "vienna", 1001: "graz"}
    assert agreed.class_counts == (10, 5)
    assert agreed.left_out == {"linz": "refused: someone there refused it"}
    assert sorted(clinics.prepared) == [(0, [10, 5]), (1, [10, 5])]
    asks = "waiting: someone there has to approve it"
    assert [responses for responses in clinics.answers if responses[0] == "graz"] == [
        *[("graz", "waiting", asks)] * 2,
        ("graz", "approved", ""),
    ]


def test_below_the_quorum_every_clinic_is_named_with_its_reason() -> None:
    clinics = Clinics(
        {
            0: lambda: declined(Reason.ASKS_A_PERSON, Decision.WAITING),
            1: lambda: declined(Reason.BEYOND_LIMITS),
        }
    )
    with pytest.raises(FederationError) as caught:
        clinics.agree(seconds=0.1)
    assert caught.value.what == "1 of the 2 clinics that the run needs have joined it"
    assert caught.value.where == (
        "graz: refused: it goes beyond the limits set there; vienna: waiting: someone there has to approve it"
    )
    assert clinics.prepared == []


def test_it_does_not_wait_for_a_quorum_that_cannot_come() -> None:
    refuses = {i: lambda: declined(Reason.BY_HAND) for i in (0, 1)}
    waits: dict[int, Says] = {2: lambda: declined(Reason.ASKS_A_PERSON, Decision.WAITING)}
    with pytest.raises(FederationError, match="0 of the 2 clinics"):
        Clinics({**refuses, **waits}).agree(seconds=600)


MISFITS: dict[str, tuple[Says, str]] = {
    "dermafed": (
        lambda: joining(1, dermafed="9.9.0"),
        f"its version of dermafed is 9.9.0, the server's is {VERSIONS['dermafed']}",
    ),
    "flwr": (
        lambda: joining(1, flwr="1.40.0"),
        f"its version of flwr is 1.40.0, the server's is {VERSIONS['flwr']}",
    ),
    "no version": (
        lambda: Answer(Decision.APPROVED, class_counts=np.array([1, 1])),
        f"its version of dermafed is unknown, the server's is {VERSIONS['dermafed']}",
    ),
    "absurd": (
        lambda: joining(1, [10**9, 0]),
        "approved, but with 1000000000 training images, not 1 to 1000000",
    ),
    "overflow": (
        lambda: joining(1, [2**62, 2**62]),
        f"approved, but with {2**63} training images, not 1 to 1000000",
    ),
    "no images": (lambda: joining(1, [0, 0]), "approved, but with 0 training images, not 1 to 1000000"),
    "negative": (lambda: joining(1, [-1, 5]), "a class has fewer than 0 images"),
    "another shape": (lambda: joining(1, [1, 2, 3]), "'training' is int64 (3,), not int64 (2,)"),
    "error": (lambda: Error(1001, "Jane Doe"), "training failed there (unknown); its own log says why"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_clinic_that_does_not_fit_is_left_out_by_name(name: str) -> None:
    says, reason = MISFITS[name]
    clinics = Clinics({1: says})
    agreed = clinics.agree()
    assert agreed.joined == {1000: "vienna", 1002: "linz"}
    assert reason in agreed.left_out["graz"]
    assert agreed.class_counts == (4, 16)


def test_a_patch_and_another_keras_fit_but_are_named(caplog: pytest.LogCaptureFixture) -> None:
    patch = ".".join([*VERSIONS["flwr"].split(".")[:2], "99"])
    agreed = Clinics({1: lambda: joining(1, flwr=patch, keras="2.0.0")}).agree()
    assert len(agreed.joined) == 3
    assert f"graz joins with keras 2.0.0; the server has {VERSIONS['keras']}" in caplog.text


def test_a_clinic_that_is_not_connected_is_named() -> None:
    class Away(LocalGrid):
        def get_node_ids(self) -> Iterable[int]:
            return [1000, 1002]

        def get_nodes(self) -> Iterable[NodeInfo]:
            return [NodeInfo(node_id=node) for node in self.get_node_ids()]

    clinics = Clinics()
    agreed = clinics.agree(grid=Away(clinics.app(), NAMES))
    assert agreed.left_out == {"graz": "it is not connected"}
    assert agreed.class_counts == (4, 16)


def test_a_clinic_that_does_not_get_ready_is_left_out_and_the_others_get_the_new_sum() -> None:
    clinics = Clinics(unready={1})
    agreed = clinics.agree()
    assert agreed.joined == {1000: "vienna", 1002: "linz"}
    assert agreed.class_counts == (4, 16)
    assert agreed.left_out == {"graz": "training failed there (OSError); its own log says why"}
    assert clinics.prepared[-2:] == [(0, [4, 16]), (2, [4, 16])]


def test_too_few_get_ready() -> None:
    with pytest.raises(FederationError, match=r"1 of the 2 clinics .*graz: training failed there"):
        Clinics(unready={1, 2}).agree()


def test_a_class_that_nobody_has_is_named() -> None:
    """Its probability would be near 0 for every patient, and look like no risk."""
    clinics = Clinics({place: lambda: joining(1) for place in range(3)})
    with pytest.raises(FederationError) as caught:
        clinics.agree()
    assert caught.value.what == "No clinic that joined has a training image of: nevus"
    assert caught.value.where == "graz, linz, vienna"
    assert "leave the class out" in caught.value.remedy
    assert clinics.prepared == []


def test_the_only_clinic_with_a_class_may_not_fail_to_prepare() -> None:
    counts = {0: [3, 0], 1: [7, 0]}
    clinics = Clinics({place: lambda place=place: joining(place, counts[place]) for place in counts}, {2})
    with pytest.raises(FederationError, match="No clinic that joined has a training image of: nevus"):
        clinics.agree()
