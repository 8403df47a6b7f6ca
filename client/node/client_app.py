"""The clinic's ClientApp: decode what the server asks, let the trainer work, encode the result."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.shared.errors import DermaFedError, FederationError
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.protocol.agreement import OFFER, PREPARE, decode_offer, encode_answer, encode_ready
from dermafed.shared.protocol.calibration_messages import decode_calibration, encode_calibration_sums
from dermafed.shared.protocol.messages import (
    CALIBRATE,
    CALIBRATION,
    EXPLAIN,
    Instruction,
    Refusal,
    decode_instruction,
    encode_evaluation,
    encode_explanation_quality,
    encode_update,
)
from dermafed.shared.training.trainer import FloatVector, Trainer

if TYPE_CHECKING:
    from dermafed.client.node.consent import ClinicConsent
    from dermafed.client.node.node_app import ClinicCalibrator

TrainerFor = Callable[[Context], Trainer]

QualityOf = Callable[[FloatVector, int], ExplanationQuality]
"""Weights float32 (P,) and their round to the quality of the model's explanations at one clinic."""

Answer = Callable[[Message, Context, Callable[[Instruction, Context], RecordDict]], RecordDict]
"""Gives the content of the reply to a message, by what does the work."""

log = logging.getLogger("dermafed.client")


class NotApproved(FederationError):
    """The server asks for something that the clinic did not approve."""


def build_client_app(
    trainer_for: TrainerFor,
    quality_for: Callable[[Context], QualityOf] | None = None,
    consent: ClinicConsent | None = None,
    calibrator_for: Callable[[Context], ClinicCalibrator] | None = None,
) -> ClientApp:
    """The ClientApp of every clinic, in simulation and in deployment.

    Args:
        trainer_for: gives the trainer of a context's clinic; called for every message (:class:`TrainerCache`
            builds each once).
        quality_for: gives the explanation quality of a context's clinic
            (:class:`dermafed.client.node.explanation_quality.ClinicExplanationQuality`); without it, the
            clinic refuses to measure it.
        consent: what the clinic approved; a simulation needs none.
        calibrator_for: gives the calibrator of a context's clinic; without it, it does not calibrate.
    """
    app = ClientApp()

    def answer(
        message: Message, context: Context, work: Callable[[Instruction, Context], RecordDict]
    ) -> RecordDict:
        instruction = decode_instruction(message.content)
        if consent is None:
            return work(instruction, context)
        consent.check(instruction, message.metadata.message_type, context)
        return consent.once(message, instruction, context, lambda: work(instruction, context))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return _reply(
            message,
            Refusal.TRAINING_FAILED,
            lambda: answer(message, context, lambda asked, of: _train(asked, trainer_for(of))),
        )

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return _reply(
            message,
            Refusal.EVALUATION_FAILED,
            lambda: answer(message, context, lambda asked, of: _evaluate(asked, trainer_for(of))),
        )

    @app.query(EXPLAIN)
    def explain(message: Message, context: Context) -> Message:
        measure_for = quality_for or _refuse
        return _reply(
            message,
            Refusal.EXPLANATION_FAILED,
            lambda: answer(message, context, lambda asked, of: _explain(asked, measure_for(of))),
        )

    if calibrator_for is not None:
        _add_calibration(app, answer, calibrator_for)
    if consent is not None:
        _add_consent(app, consent)
    return app


def _add_calibration(
    app: ClientApp,
    answer: Answer,
    calibrator_for: Callable[[Context], ClinicCalibrator],
) -> None:
    """Answer the two queries that come after a run."""

    @app.query(CALIBRATE)
    def calibrate(message: Message, context: Context) -> Message:
        def work(instruction: Instruction, context: Context) -> RecordDict:
            start = time.monotonic()
            sums = calibrator_for(context).sums(instruction)
            return encode_calibration_sums(sums, time.monotonic() - start)

        return _reply(message, Refusal.CALIBRATION_FAILED, lambda: answer(message, context, work))

    @app.query(CALIBRATION)
    def calibration(message: Message, context: Context) -> Message:
        def work() -> RecordDict:
            start = time.monotonic()
            calibrator_for(context).save(decode_calibration(message.content))
            return encode_ready(time.monotonic() - start)

        return _reply(message, Refusal.CALIBRATION_FAILED, work)


def _add_consent(app: ClientApp, consent: ClinicConsent) -> None:
    """Answer the two queries that come before a run."""

    @app.query(OFFER)
    def offer(message: Message, context: Context) -> Message:
        return _reply(
            message,
            Refusal.OFFER_FAILED,
            lambda: encode_answer(consent.answer(decode_offer(message.content), context)),
        )

    @app.query(PREPARE)
    def prepare(message: Message, context: Context) -> Message:
        def work() -> RecordDict:
            start = time.monotonic()
            consent.prepare(message.content, context)
            return encode_ready(time.monotonic() - start)

        return _reply(message, Refusal.PREPARATION_FAILED, work)


def _train(instruction: Instruction, trainer: Trainer) -> RecordDict:
    start = time.monotonic()
    update = trainer.train(instruction.weights, instruction.round, instruction.config)
    return encode_update(update, time.monotonic() - start)


def _evaluate(instruction: Instruction, trainer: Trainer) -> RecordDict:
    start = time.monotonic()
    evaluation = trainer.evaluate(instruction.weights, instruction.round)
    return encode_evaluation(evaluation, time.monotonic() - start)


def _explain(instruction: Instruction, quality_of: QualityOf) -> RecordDict:
    start = time.monotonic()
    quality = quality_of(instruction.weights, instruction.round)
    return encode_explanation_quality(quality, time.monotonic() - start)


def _refuse(context: Context) -> QualityOf:
    raise FederationError("This clinic does not measure explanations")


def _reply(message: Message, refusal: Refusal, work: Callable[[], RecordDict]) -> Message:
    """The work's result, or an error with no more than the exception's type: its text stays here."""
    try:
        return Message(work(), reply_to=message)
    except NotApproved as error:
        refusal, reason = Refusal.NOT_APPROVED, type(error).__name__
        log.warning("not approved: %s", error)
    except DermaFedError as error:
        log.error("%s: %s", refusal.name.replace("_", " ").lower(), error)
        reason = type(error).__name__
    except Exception as error:
        log.exception("%s", refusal.name.replace("_", " ").lower())
        reason = type(error).__name__
    return Message(Error(code=int(refusal), reason=reason), reply_to=message)


# Of the module, since an engine that works in other processes unpickles a new ``TrainerCache`` per message.
_TRAINERS: dict[tuple[str, int], Trainer] = {}


@dataclass(frozen=True)
class TrainerCache:
    """Builds a clinic's trainer when its first message comes, and reuses it for the next ones.

    Attributes:
        build: makes the trainer of a context's clinic; travels to worker processes by pickle, so it should
            load data rather than contain it.
    """

    build: TrainerFor
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, context: Context) -> Trainer:
        """The trainer of the context's clinic."""
        key = (self.run, int(context.node_config.get("partition-id", context.node_id)))
        if key not in _TRAINERS:
            _TRAINERS[key] = self.build(context)
        return _TRAINERS[key]

    def clear(self) -> None:
        """Drop the trainers that this process has built."""
        for key in [key for key in _TRAINERS if key[0] == self.run]:
            del _TRAINERS[key]
