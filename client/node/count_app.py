"""The clinic's answers to the queries of counts, which belong to no run."""

from __future__ import annotations

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.clinic_counts import ClinicCounts
from dermafed.client.node.replying import replies
from dermafed.shared.protocol.count_messages import (
    COUNTS,
    DRIFT,
    check_counts_request,
    encode_lesion_counts,
    encode_monthly_counts,
)
from dermafed.shared.protocol.messages import Refusal


def add_counts(app: ClientApp, counts: ClinicCounts) -> None:
    """Answer the queries of counts as far as the clinic's settings allow."""

    @app.query(COUNTS)
    @replies(Refusal.COUNTS_FAILED)
    def lesions(message: Message, context: Context) -> RecordDict:
        check_counts_request(message.content)
        return encode_lesion_counts(counts.tell_lesions())

    @app.query(DRIFT)
    @replies(Refusal.COUNTS_FAILED)
    def drift(message: Message, context: Context) -> RecordDict:
        check_counts_request(message.content)
        return encode_monthly_counts(counts.tell_drift())
