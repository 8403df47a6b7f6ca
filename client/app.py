"""The clinic's ClientApp: it decodes what the server asks, lets the trainer work, and encodes the result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from shared.errors import DermaFedError, FederationError
from shared.explain.quality.figures import ExplanationQuality
from shared.messages import (
    EXPLAIN,
    Refusal,
    decode_instruction,
    encode_evaluation,
    encode_explanation_quality,
    encode_update,
)
from shared.training.trainer import FloatVector, Trainer

TrainerFor = Callable[[Context], Trainer]

QualityOf = Callable[[FloatVector, int], ExplanationQuality]
"""Weights float32 (P,) and their round to the quality of the model's explanations at one clinic."""

QualityFor = Callable[[Context], QualityOf]

log = logging.getLogger("dermafed.client")


def build_client_app(trainer_for: TrainerFor, quality_for: QualityFor | None = None) -> ClientApp:
    """The ClientApp of every clinic, in simulation and in deployment.

    Args:
        trainer_for: the trainer of the clinic that a context belongs to; called for every message, so keep
            what is expensive to build (:class:`client.trainers.KeptTrainers`).
        quality_for: how the clinic that a context belongs to measures explanations
            (:class:`client.explain_quality.SiteQuality`); without it, the clinic refuses to.
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return _reply(message, Refusal.TRAINING_FAILED, lambda: _train(message, trainer_for(context)))

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return _reply(message, Refusal.EVALUATION_FAILED, lambda: _evaluate(message, trainer_for(context)))

    @app.query(EXPLAIN)
    def explain(message: Message, context: Context) -> Message:
        measure_for = quality_for or _refuse
        return _reply(message, Refusal.EXPLANATION_FAILED, lambda: _explain(message, measure_for(context)))

    return app


def _train(message: Message, trainer: Trainer) -> RecordDict:
    asked = decode_instruction(message.content)
    start = time.monotonic()
    update = trainer.train(asked.weights, asked.round, asked.config)
    return encode_update(update, time.monotonic() - start)


def _evaluate(message: Message, trainer: Trainer) -> RecordDict:
    asked = decode_instruction(message.content)
    start = time.monotonic()
    evaluation = trainer.evaluate(asked.weights, asked.round)
    return encode_evaluation(evaluation, time.monotonic() - start)


def _explain(message: Message, quality_of: QualityOf) -> RecordDict:
    asked = decode_instruction(message.content)
    start = time.monotonic()
    quality = quality_of(asked.weights, asked.round)
    return encode_explanation_quality(quality, time.monotonic() - start)


def _refuse(context: Context) -> QualityOf:
    raise FederationError("This clinic does not measure explanations")


def _reply(message: Message, refusal: Refusal, work: Callable[[], RecordDict]) -> Message:
    """The work's result, or an error that says no more than the exception's type: its text stays here."""
    try:
        return Message(work(), reply_to=message)
    except DermaFedError as error:
        log.error("%s: %s", refusal.name.replace("_", " ").lower(), error)
        reason = type(error).__name__
    except Exception as error:
        log.exception("%s", refusal.name.replace("_", " ").lower())
        reason = type(error).__name__
    return Message(Error(code=int(refusal), reason=reason), reply_to=message)
