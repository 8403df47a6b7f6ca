"""The handlers of the clinic's ClientApp for secure sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import ArrayLike

from dermafed.client.node.clinic_sums import ClinicSums, Summand
from dermafed.client.node.replying import replies
from dermafed.client.node.summed_values import summed_counts, summed_evaluation, summed_update
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
from dermafed.shared.protocol.summed import Label, summed_sizes
from dermafed.shared.training.trainer import Trainer

if TYPE_CHECKING:
    from dermafed.client.node.consent import ClinicConsent

Values = Callable[[Trainer, Instruction, Summand], Mapping[str, ArrayLike]]
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

    def decode(content: RecordDict, context: Context, label: Label | None = None) -> tuple[SumAttempt, bytes]:
        of, text = decode_step(content)
        if label not in (None, of.label):
            raise FederationError("The message is of another sum than its type", where="secure sum")
        if consent is not None:
            consent.check_sum(of, context)
        return of, text

    def step(kind: str) -> Callable[[Message, Context], Message]:
        @replies(Refusal.SECURE_SUM_FAILED)
        def answer(message: Message, context: Context) -> RecordDict:
            of, text = decode(message.content, context)
            return encode_sum(sums.step(kind, of, text, context))

        return answer

    def with_ledger(
        message: Message, context: Context, work: Callable[[RecordDict], RecordDict]
    ) -> RecordDict:
        if consent is None:
            return work(message.content)
        return consent.with_ledger(message.content, context, work)

    def masked(label: Label, refusal: Refusal, values: Values) -> Callable[[Message, Context], Message]:
        @replies(refusal)
        def answer(message: Message, context: Context) -> RecordDict:
            def work(content: RecordDict) -> RecordDict:
                of, text = decode(content, context, label)
                asked = decode_instruction(content)
                if asked.round != of.round:
                    raise FederationError("The model is of another round than its sum", where="secure sum")

                def own_values(own: Summand) -> Mapping[str, ArrayLike]:
                    sizes = summed_sizes(asked, label)
                    if not own.summing.has_noise and sizes != (of.parameters, of.coded):
                        raise FederationError("The model is of another size than its sum", where="secure sum")
                    return values(trainer_for(context), asked, own)

                return encode_sum(sums.mask(of, text, context, asked, own_values))

            return with_ledger(message, context, work)

        return answer

    @replies(Refusal.SECURE_SUM_FAILED)
    def counts(message: Message, context: Context) -> RecordDict:
        def work(content: RecordDict) -> RecordDict:
            of, text = decode(content, context, "counts")
            return encode_sum(sums.mask(of, text, context, None, summed_counts))

        return with_ledger(message, context, work)

    for kind in (SUM_KEYS, SUM_PARTS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE):
        app.query(_action(kind))(step(kind))
    app.query(_action(SUMMED["counts"]))(counts)
    app.train(_action(SUMMED["train"]))(masked("train", Refusal.TRAINING_FAILED, summed_update))
    app.evaluate(_action(SUMMED["evaluate"]))(
        masked("evaluate", Refusal.EVALUATION_FAILED, summed_evaluation)
    )


def _action(kind: str) -> str:
    return kind.partition(".")[2]
