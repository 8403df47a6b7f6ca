"""The handlers of the clinic's ClientApp for secure sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import ArrayLike

from dermafed.client.node.clinic_sums import ClinicSums, Summand
from dermafed.client.node.replying import replies
from dermafed.client.node.summed_values import summed_evaluation, summed_update
from dermafed.client.node.trainer_cache import TrainerFor
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import Instruction, Refusal, decode_instruction
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
    SumAttempt,
    decode_step,
    encode_sum,
)
from dermafed.shared.protocol.summed import NO_MODEL, Label, digest_of, summed_sizes

if TYPE_CHECKING:
    from dermafed.client.node.consent import ClinicConsent

Values = Callable[[Instruction, Summand, Context], Mapping[str, ArrayLike]]
"""Makes a clinic's values of a model."""


def add_sums(
    app: ClientApp, sums: ClinicSums, trainer_for: TrainerFor, consent: ClinicConsent | None
) -> None:
    """Answer the messages of secure sums.

    Args:
        app: the clinic's app.
        sums: the clinic's part in them.
        trainer_for: gives the trainer of a context's clinic.
        consent: what the clinic approved; a simulation needs none.
    """

    def decode(message: Message, context: Context, label: Label | None = None) -> tuple[SumAttempt, bytes]:
        of, text = decode_step(message.content)
        if label not in (None, of.label):
            raise FederationError("The message is of another sum than its type", where="secure sum")
        if consent is not None:
            consent.check_sum(of, context)
        return of, text

    def step(kind: str) -> Callable[[Message, Context], Message]:
        @replies(Refusal.SECURE_SUM_FAILED)
        def answer(message: Message, context: Context) -> RecordDict:
            of, text = decode(message, context)
            return encode_sum(sums.step(kind, of, text, context))

        return answer

    def masked(label: Label, refusal: Refusal, values: Values) -> Callable[[Message, Context], Message]:
        @replies(refusal)
        def answer(message: Message, context: Context) -> RecordDict:
            of, text = decode(message, context, label)
            asked = decode_instruction(message.content)
            if asked.round != of.round or summed_sizes(asked, of.label) != (of.parameters, of.coded):
                raise FederationError(
                    "The model is of another round or size than its sum", where="secure sum"
                )
            return encode_sum(
                sums.mask(of, text, context, digest_of(asked), lambda own: values(asked, own, context))
            )

        return answer

    @replies(Refusal.SECURE_SUM_FAILED)
    def counts(message: Message, context: Context) -> RecordDict:
        of, text = decode(message, context, "counts")
        return encode_sum(sums.mask(of, text, context, NO_MODEL, lambda own: {"training": own.counts}))

    for kind in (SUM_KEYS, SUM_PARTS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE):
        app.query(_action(kind))(step(kind))
    app.query(_action(SUMMED["counts"]))(counts)
    app.train(_action(SUMMED["train"]))(
        masked(
            "train",
            Refusal.TRAINING_FAILED,
            lambda asked, own, context: summed_update(trainer_for(context), asked, own),
        )
    )
    app.evaluate(_action(SUMMED["evaluate"]))(
        masked(
            "evaluate",
            Refusal.EVALUATION_FAILED,
            lambda asked, own, context: summed_evaluation(
                trainer_for(context).evaluate(asked.weights, asked.round)
            ),
        )
    )


def _action(kind: str) -> str:
    return kind.partition(".")[2]
