"""The clinic's ClientApp: decode what the server asks, let the trainer work, encode the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.after_run import AuditOf, add_audit, add_calibration, add_finder
from dermafed.client.node.replying import replies, timed
from dermafed.client.node.rounded_update import rounded_update
from dermafed.client.node.sum_app import add_sums
from dermafed.client.node.trainer_cache import TrainerFor
from dermafed.shared.errors import FederationError
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.protocol.agreement import OFFER, PREPARE, decode_offer, encode_answer, encode_ready
from dermafed.shared.protocol.explanation_messages import encode_explanation_quality
from dermafed.shared.protocol.head_messages import encode_head_sums
from dermafed.shared.protocol.messages import (
    EXPLAIN,
    HEAD,
    SLOPES,
    Instruction,
    Refusal,
    decode_instruction,
    encode_evaluation,
    encode_update,
)
from dermafed.shared.protocol.slope_messages import decode_slopes_request, encode_slope_sums
from dermafed.shared.training.trainer import FloatVector, HeadTrainer, Trainer

if TYPE_CHECKING:
    from dermafed.client.node.answered import Asked
    from dermafed.client.node.clinic_calibrator import ClinicCalibrator
    from dermafed.client.node.clinic_finder import ClinicFinder
    from dermafed.client.node.clinic_sums import ClinicSums
    from dermafed.client.node.consent import ClinicConsent

QualityOf = Callable[[FloatVector, int], ExplanationQuality]
"""Weights float32 (P,) and their round to the quality of the model's explanations at one clinic."""


def build_client_app(
    trainer_for: TrainerFor,
    quality_for: Callable[[Context], QualityOf] | None = None,
    consent: ClinicConsent | None = None,
    calibrator_for: Callable[[Context], ClinicCalibrator] | None = None,
    finder_for: Callable[[Context], ClinicFinder] | None = None,
    audit_for: Callable[[Context], AuditOf] | None = None,
    sums: ClinicSums | None = None,
) -> ClientApp:
    """The ClientApp of every clinic, in simulation and in deployment.

    Args:
        trainer_for: gives the trainer of a context's clinic; called for every message
            (:class:`dermafed.client.node.trainer_cache.TrainerCache` builds each once).
        quality_for: gives the explanation quality of a context's clinic
            (:class:`dermafed.client.node.explanation_quality.ClinicExplanationQuality`); without it, the
            clinic refuses to measure it.
        consent: what the clinic approved; a simulation needs none.
        calibrator_for: gives the calibrator of a context's clinic; without it, it does not calibrate.
        finder_for: gives what a context's clinic does for a lesion finder; without it, it does nothing.
        audit_for: gives what audits a model at a context's clinic
            (:class:`dermafed.client.node.clinic_audit.ClinicAudit`); without it, it does not.
        sums: the clinic's part in secure sums; without it, it takes no part.
    """
    app = ClientApp()

    def counted(
        message: Message, asked: Asked, context: Context, work: Callable[[], RecordDict]
    ) -> RecordDict:
        if consent is None:
            return work()
        consent.check(asked, message.metadata.message_type, context)
        return consent.once(message, asked, context, work)

    def answer(message: Message, context: Context, work: Callable[[Instruction], RecordDict]) -> RecordDict:
        asked = decode_instruction(message.content)
        return counted(message, asked, context, lambda: work(asked))

    @app.train()
    @replies(Refusal.TRAINING_FAILED)
    def train(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            trainer = trainer_for(context)
            update, seconds = timed(lambda: trainer.train(asked.weights, asked.round, asked.config))
            return encode_update(rounded_update(asked, update), seconds)

        return answer(message, context, work)

    @app.train(HEAD)
    @replies(Refusal.TRAINING_FAILED)
    def head(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            trainer = head_trainer(trainer_for(context))
            return encode_head_sums(*timed(lambda: trainer.head_sums(asked.weights, asked.round)))

        return answer(message, context, work)

    @app.train(SLOPES)
    @replies(Refusal.TRAINING_FAILED)
    def slopes(message: Message, context: Context) -> RecordDict:
        asked = decode_slopes_request(message.content)

        def work() -> RecordDict:
            trainer = head_trainer(trainer_for(context))
            return encode_slope_sums(
                *timed(lambda: trainer.head_slopes(asked.weights, asked.round, asked.head))
            )

        return counted(message, asked, context, work)

    @app.evaluate()
    @replies(Refusal.EVALUATION_FAILED)
    def evaluate(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            trainer = trainer_for(context)
            return encode_evaluation(*timed(lambda: trainer.evaluate(asked.weights, asked.round)))

        return answer(message, context, work)

    @app.query(EXPLAIN)
    @replies(Refusal.EXPLANATION_FAILED)
    def explain(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            if quality_for is None:
                raise FederationError("This clinic does not measure explanations")
            quality_of = quality_for(context)
            return encode_explanation_quality(*timed(lambda: quality_of(asked.weights, asked.round)))

        return answer(message, context, work)

    if calibrator_for is not None:
        add_calibration(app, answer, counted, calibrator_for)
    if finder_for is not None:
        add_finder(app, answer, finder_for)
    if audit_for is not None:
        add_audit(app, answer, audit_for)
    if sums is not None:
        add_sums(app, sums, trainer_for, consent)
    if consent is not None:
        _add_consent(app, consent)
    return app


def head_trainer(trainer: Trainer) -> HeadTrainer:
    """The trainer, if it sums up features.

    Raises:
        FederationError: it does not.
    """
    if not isinstance(trainer, HeadTrainer):
        raise FederationError("This clinic does not sum up features")
    return trainer


def _add_consent(app: ClientApp, consent: ClinicConsent) -> None:
    """Answer the two queries that come before a run."""

    @app.query(OFFER)
    @replies(Refusal.OFFER_FAILED)
    def offer(message: Message, context: Context) -> RecordDict:
        return encode_answer(consent.answer(decode_offer(message.content), context))

    @app.query(PREPARE)
    @replies(Refusal.PREPARATION_FAILED)
    def prepare(message: Message, context: Context) -> RecordDict:
        _, seconds = timed(lambda: consent.prepare(message.content, context))
        return encode_ready(0.0 if consent.is_secure(context.run_id) else seconds)
