"""The clinic's ClientApp: it decodes what the server asks, lets the trainer work, and encodes the result."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.shared.errors import DermaFedError, FederationError
from dermafed.shared.explain.quality.summary import ExplanationQuality
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.protocol.agreement import (
    OFFER,
    PREPARE,
    Answer,
    decode_offer,
    encode_answer,
    encode_ready,
)
from dermafed.shared.protocol.messages import (
    CALIBRATE,
    CALIBRATION,
    EXPLAIN,
    Instruction,
    Refusal,
    decode_calibration,
    decode_instruction,
    encode_calibration_sums,
    encode_evaluation,
    encode_explanation_quality,
    encode_update,
)
from dermafed.shared.training.trainer import FloatVector, Trainer

TrainerFor = Callable[[Context], Trainer]

QualityOf = Callable[[FloatVector, int], ExplanationQuality]
"""Weights float32 (P,) and their round to the quality of the model's explanations at one clinic."""

QualityFor = Callable[[Context], QualityOf]


class Calibrator(Protocol):
    """How a clinic takes part in the calibration of a run's last model."""

    def sums(self, asked: Instruction) -> CalibrationSums:
        """The sums of the clinic's validation images, at the temperature that the server asks for."""
        ...

    def keep(self, calibration: Calibration) -> None:
        """Keep what came of all clinics' sums."""
        ...


CalibratorFor = Callable[[Context], Calibrator]

log = logging.getLogger("dermafed.client")


class NotApproved(FederationError):
    """What the server asks is not what the clinic agreed to."""


class Consent(Protocol):
    """What a clinic says to offers, and whether a message keeps to what it said."""

    def answer(self, offer: str, context: Context) -> Answer:
        """The clinic's answer to an offer's text."""
        ...

    def prepare(self, content: RecordDict, context: Context) -> None:
        """Get ready for the first round of an approved run; ``content`` tells the counts of all clinics."""
        ...

    def check(self, asked: Instruction, kind: str, context: Context) -> None:
        """Raise NotApproved unless the clinic agreed to this; ``kind`` is the message's type."""
        ...


def build_client_app(
    trainer_for: TrainerFor,
    quality_for: QualityFor | None = None,
    consent: Consent | None = None,
    calibrator_for: CalibratorFor | None = None,
) -> ClientApp:
    """The ClientApp of every clinic, in simulation and in deployment.

    Args:
        trainer_for: the trainer of the clinic that a context belongs to; called for every message, so keep
            what is expensive to build (:class:`dermafed.client.node.client_app.TrainerCache`).
        quality_for: how the clinic that a context belongs to measures explanations
            (:class:`ClinicExplanationQuality`); without it, the clinic refuses to.
        consent: the clinic's word in a deployment; a simulation needs none.
        calibrator_for: how the clinic that a context belongs to calibrates; without it, it does not.
    """
    app = ClientApp()

    def asked(message: Message, context: Context) -> Instruction:
        instruction = decode_instruction(message.content)
        if consent is not None:
            consent.check(instruction, message.metadata.message_type, context)
        return instruction

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return _reply(
            message, Refusal.TRAINING_FAILED, lambda: _train(asked(message, context), trainer_for(context))
        )

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return _reply(
            message,
            Refusal.EVALUATION_FAILED,
            lambda: _evaluate(asked(message, context), trainer_for(context)),
        )

    @app.query(EXPLAIN)
    def explain(message: Message, context: Context) -> Message:
        measure_for = quality_for or _refuse
        return _reply(
            message,
            Refusal.EXPLANATION_FAILED,
            lambda: _explain(asked(message, context), measure_for(context)),
        )

    if calibrator_for is not None:
        _add_calibration(app, asked, calibrator_for)
    if consent is not None:
        _add_consent(app, consent)
    return app


def _add_calibration(
    app: ClientApp, asked: Callable[[Message, Context], Instruction], calibrator_for: CalibratorFor
) -> None:
    """The two queries that come after a run."""

    @app.query(CALIBRATE)
    def calibrate(message: Message, context: Context) -> Message:
        def work() -> RecordDict:
            start = time.monotonic()
            sums = calibrator_for(context).sums(asked(message, context))
            return encode_calibration_sums(sums, time.monotonic() - start)

        return _reply(message, Refusal.CALIBRATION_FAILED, work)

    @app.query(CALIBRATION)
    def calibration(message: Message, context: Context) -> Message:
        def work() -> RecordDict:
            start = time.monotonic()
            calibrator_for(context).keep(decode_calibration(message.content))
            return encode_ready(time.monotonic() - start)

        return _reply(message, Refusal.CALIBRATION_FAILED, work)


def _add_consent(app: ClientApp, consent: Consent) -> None:
    """The two queries that come before a run."""

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


def _train(asked: Instruction, trainer: Trainer) -> RecordDict:
    start = time.monotonic()
    update = trainer.train(asked.weights, asked.round, asked.config)
    return encode_update(update, time.monotonic() - start)


def _evaluate(asked: Instruction, trainer: Trainer) -> RecordDict:
    start = time.monotonic()
    evaluation = trainer.evaluate(asked.weights, asked.round)
    return encode_evaluation(evaluation, time.monotonic() - start)


def _explain(asked: Instruction, quality_of: QualityOf) -> RecordDict:
    start = time.monotonic()
    quality = quality_of(asked.weights, asked.round)
    return encode_explanation_quality(quality, time.monotonic() - start)


def _refuse(context: Context) -> QualityOf:
    raise FederationError("This clinic does not measure explanations")


def _reply(message: Message, refusal: Refusal, work: Callable[[], RecordDict]) -> Message:
    """The work's result, or an error that says no more than the exception's type: its text stays here."""
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
_KEPT: dict[tuple[str, int], Trainer] = {}


@dataclass(frozen=True)
class TrainerCache:
    """Builds a clinic's trainer when its first message comes, and keeps it for the next ones.

    Attributes:
        build: makes the trainer of a context's clinic; travels to worker processes by pickle, so let it
            load data rather than hold it.
    """

    build: Callable[[Context], Trainer]
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, context: Context) -> Trainer:
        """The trainer of the context's clinic."""
        key = (self.run, int(context.node_config.get("partition-id", context.node_id)))
        if key not in _KEPT:
            _KEPT[key] = self.build(context)
        return _KEPT[key]

    def forget(self) -> None:
        """Let this process drop the trainers it has built."""
        for key in [key for key in _KEPT if key[0] == self.run]:
            del _KEPT[key]
