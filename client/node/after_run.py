"""The clinic's answers to the queries that come after a run: calibration, lesion finder, audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.replying import replies, timed
from dermafed.shared.metrics.shortcuts.shortcut_sums import ShortcutSums
from dermafed.shared.protocol.agreement import encode_ready
from dermafed.shared.protocol.audit_messages import encode_shortcut_sums
from dermafed.shared.protocol.calibration_messages import decode_calibration, encode_calibration_sums
from dermafed.shared.protocol.finder_messages import decode_finder, encode_finder_sums
from dermafed.shared.protocol.messages import (
    AUDIT,
    CALIBRATE,
    CALIBRATION,
    FINDER,
    LESIONS,
    OFFSETS,
    SCORES,
    Instruction,
    Refusal,
)
from dermafed.shared.protocol.offset_messages import decode_offsets_request, encode_offset_sums
from dermafed.shared.protocol.score_messages import decode_scores_request, encode_scores
from dermafed.shared.training.trainer import FloatVector

if TYPE_CHECKING:
    from dermafed.client.node.answered import Asked
    from dermafed.client.node.clinic_calibrator import ClinicCalibrator
    from dermafed.client.node.clinic_finder import ClinicFinder

AuditOf = Callable[[FloatVector, int], ShortcutSums]
"""Weights float32 (P,) and their round to the sums of an audit at one clinic."""

Answer = Callable[[Message, Context, Callable[[Instruction], RecordDict]], RecordDict]
"""Gives the content of the reply to a message, by what does the work."""

Counted = Callable[[Message, "Asked", Context, Callable[[], RecordDict]], RecordDict]
"""The same, of a message that is decoded: checked, and worked on once."""


def add_calibration(
    app: ClientApp,
    answer: Answer,
    counted: Counted,
    calibrator_for: Callable[[Context], ClinicCalibrator],
) -> None:
    """Answer the queries by which the clinics calibrate a model together."""

    @app.query(CALIBRATE)
    @replies(Refusal.CALIBRATION_FAILED)
    def calibrate(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            return encode_calibration_sums(*timed(lambda: calibrator_for(context).sums(asked)))

        return answer(message, context, work)

    @app.query(OFFSETS)
    @replies(Refusal.CALIBRATION_FAILED)
    def offsets(message: Message, context: Context) -> RecordDict:
        asked = decode_offsets_request(message.content)

        def work() -> RecordDict:
            return encode_offset_sums(*timed(lambda: calibrator_for(context).offset_sums(asked)))

        return counted(message, asked, context, work)

    @app.query(SCORES)
    @replies(Refusal.CALIBRATION_FAILED)
    def scores(message: Message, context: Context) -> RecordDict:
        asked = decode_scores_request(message.content)

        def work() -> RecordDict:
            return encode_scores(*timed(lambda: calibrator_for(context).scores(asked)))

        return counted(message, asked, context, work)

    @app.query(CALIBRATION)
    @replies(Refusal.CALIBRATION_FAILED)
    def calibration(message: Message, context: Context) -> RecordDict:
        _, seconds = timed(lambda: calibrator_for(context).save(decode_calibration(message.content)))
        return encode_ready(seconds)


def add_finder(app: ClientApp, answer: Answer, finder_for: Callable[[Context], ClinicFinder]) -> None:
    """Answer the queries by which the clinics fit a lesion finder together."""

    @app.query(LESIONS)
    @replies(Refusal.FINDER_FAILED)
    def lesions(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            return encode_finder_sums(*timed(lambda: finder_for(context).sums(asked.weights)))

        return answer(message, context, work)

    @app.query(FINDER)
    @replies(Refusal.FINDER_FAILED)
    def finder(message: Message, context: Context) -> RecordDict:
        _, seconds = timed(lambda: finder_for(context).save(decode_finder(message.content)))
        return encode_ready(seconds)


def add_audit(app: ClientApp, answer: Answer, audit_for: Callable[[Context], AuditOf]) -> None:
    """Answer the query that audits a model for shortcuts."""

    @app.query(AUDIT)
    @replies(Refusal.AUDIT_FAILED)
    def audit(message: Message, context: Context) -> RecordDict:
        def work(asked: Instruction) -> RecordDict:
            audit_of = audit_for(context)
            return encode_shortcut_sums(*timed(lambda: audit_of(asked.weights, asked.round)))

        return answer(message, context, work)
