"""Three clinics in this process, of which the second, graz, sends what an attack makes of its reply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import RunState, load_state
from dermafed.server.rounds.shares import members_of
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.engines.local import run_local
from tests.server.small_clinics import CLASSES, NAMES, SIZES, lesions, server, start_weights, trainer_for

HOSTILE = 1
PLANNED: dict[str, Any] = {"largest_share": 0.5, "largest_step": 3.0}
"""The rules of a plan without a word about them."""

OPEN: dict[str, Any] = {"largest_share": 1.0, "largest_step": None}
"""The same without the defences: what a simulation uses."""

COUNTS = {
    name: np.bincount(lesions(clinic, SIZES[clinic])[1], minlength=CLASSES).tolist()
    for clinic, name in enumerate(NAMES)
}
MEMBERS = members_of(COUNTS, "logits")

Forge = Callable[[Message], Message]


def app_of(*, train: Forge | None = None, evaluate: Forge | None = None) -> ClientApp:
    """The clinics' app; graz's replies come from ``train`` and ``evaluate``, where given."""
    honest, app = build_client_app(trainer_for), ClientApp()

    def answering(forge: Forge | None) -> Callable[[Message, Context], Message]:
        def answer(message: Message, context: Context) -> Message:
            lies = forge is not None and context.node_config["partition-id"] == HOSTILE
            return forge(message) if lies and forge is not None else honest(message, context)

        return answer

    app.train()(answering(train))
    app.evaluate()(answering(evaluate))
    return app


def run(folder: Path, app: ClientApp, rounds: int = 1, **options: Any) -> RunState:
    """A run by a plan's rules and the agreement, or as ``options`` say."""
    chosen = {**PLANNED, "members": MEMBERS, **options}
    run_local(server(folder, rounds=rounds, **chosen), app, NAMES)
    return load_state(folder)


def replying(make: Callable[[FloatVector], RecordDict]) -> Forge:
    """A reply made of the model that was sent."""

    def forge(message: Message) -> Message:
        sent = message.content["weights"]["weights"].numpy()
        return Message(make(sent), reply_to=message)

    return forge


def honest_step(clinic: int = HOSTILE) -> FloatVector:
    """The step that a clinic's own training takes from the start."""
    context = Context(1, clinic, {"partition-id": clinic}, RecordDict(), {})
    trained: FloatVector = trainer_for(context).train(start_weights(), 1, {}).weights - start_weights()
    return trained
