"""The clinic's consent: its answers to offers, and what a message of an approved run may ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from flwr.app import Context, Message, RecordDict
from numpy.typing import NDArray

from dermafed.client.node.answered import Answered, Asked, Request
from dermafed.client.node.clinic_data import (
    ClinicData,
    OfferFolder,
    count_training_images,
    preprocess_clinic_data,
    split_clinic_data,
    training_sizes,
)
from dermafed.client.node.clinic_settings import Limits
from dermafed.client.node.clinic_sums import Summand
from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.ledger import BudgetSpent
from dermafed.client.node.ledger_replies import LedgerReplies
from dermafed.client.node.node_sums import node_summand
from dermafed.client.node.offers import Offers, StoredOffer
from dermafed.client.node.plan_checks import check_asked, check_sum
from dermafed.client.node.plan_roster import is_known_roster, roster_faults
from dermafed.client.node.private_run import private_run
from dermafed.client.node.replying import NotApproved
from dermafed.shared.errors import DermaFedError, FederationError, SettingsError
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.process import cores
from dermafed.shared.protocol.agreement import Answer, Decision, Reason, decode_counts, installed_versions
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.protocol.sum_messages import SumAttempt

log = logging.getLogger("dermafed.client")


@dataclass(frozen=True, slots=True)
class ApprovedRun:
    """A run that the clinic approved, ready for its first round.

    Attributes:
        hash: the offer's SHA-256.
        offer: what was approved.
        plan: the offer with the class counts of all clinics.
        folder: the clinic's files for the run.
    """

    hash: str
    offer: Offer
    plan: Plan
    folder: OfferFolder


@dataclass(frozen=True)
class ClinicConsent:
    """The consent in a clinic's folder; read for every message, so that a person's decision counts at once.

    Attributes:
        home: the clinic's folder.
        warm_up: called with the context of a run that is prepared, to load what its rounds need.
    """

    home: Home
    warm_up: Callable[[Context], object] = lambda context: None

    def answer(self, text: str, context: Context) -> Answer:
        """The clinic's answer to an offer's text."""
        try:
            offer = Offer.from_text(text)
        except SettingsError as error:
            log.error("an offer cannot be read: %s", error)
            return Answer(Decision.REFUSED, Reason.UNREADABLE, installed_versions())
        stored = self._offers.add(offer, context.run_id, self._by_policy(offer))
        if faults := self._never(offer):
            log.error("nobody can approve the plan %s: %s", offer.name, "; ".join(faults))
            return Answer(Decision.REFUSED, Reason.BEYOND_LIMITS, installed_versions())
        if stored.decision is not Decision.APPROVED:
            return Answer(stored.decision, stored.reason, installed_versions())
        return self._approval(offer)

    def prepare(self, content: RecordDict, context: Context) -> None:
        """Preprocess the images of an approved run and load what its rounds need.

        Raises:
            NotApproved: the clinic did not approve the run.
            ImageError: an image cannot be read.
        """
        hash, stored = self._approved_offer(context.run_id)
        counts = decode_counts(content, len(stored.offer.model.classes))
        split = split_clinic_data(self._data, stored.offer, self._folder(hash))
        for fault in self._limits.never(stored.offer, *training_sizes(split, stored.offer)):
            raise NotApproved(f"No one here can approve this: {fault}", where=stored.offer.name)
        self._offers.save_class_counts(hash, tuple(counts.tolist()))
        preprocess_clinic_data(split, stored.offer)
        self.warm_up(context)

    def check(self, asked: Asked, kind: str, context: Context) -> None:
        """Raise NotApproved unless the clinic approved the run, its rounds, and explanations if asked for."""
        check_asked(self._approved_offer(context.run_id)[1].offer, asked, kind)

    def check_sum(self, of: SumAttempt, context: Context) -> None:
        """Raise NotApproved unless the clinic approved the run, and its plan has this secure sum."""
        check_sum(self._approved_offer(context.run_id)[1].offer, of)

    def summand(self, context: Context) -> Summand:
        """What the clinic takes part in the secure sums of a context's run with.

        Raises:
            NotApproved: the clinic did not approve the run.
            StorageError: its private key cannot be read.
        """
        hash, stored = self._approved_offer(context.run_id)
        return node_summand(self.home, self._data.name, self._folder(hash), stored)

    def once(
        self, message: Message, asked: Asked, context: Context, work: Callable[[], RecordDict]
    ) -> RecordDict:
        """The content of the reply to a message of an approved run; see :class:`Answered`."""
        hash, _ = self._approved_offer(context.run_id)

        def answer(content: RecordDict) -> RecordDict:
            request = Request.of(message.metadata.message_type, content, asked)
            return Answered(self._folder(hash).answers).answer(request, work)

        return self.with_ledger(message.content, context, answer)

    def with_ledger(
        self, content: RecordDict, context: Context, work: Callable[[RecordDict], RecordDict]
    ) -> RecordDict:
        """The reply to a message, with the head of the ledger in a run with differential privacy.

        Raises:
            LedgerSetBack: the server has seen a ledger that this one was set back from.
        """
        _, stored = self._approved_offer(context.run_id)
        return work(content) if stored.offer.dp is None else LedgerReplies(self.home).answer(content, work)

    def approved(self, context: Context) -> ApprovedRun:
        """The run of a context, ready for its rounds.

        Raises:
            NotApproved: the clinic did not approve the run.
            FederationError: the server has not sent the class counts yet.
        """
        hash, stored = self._approved_offer(context.run_id)
        if stored.class_counts is None:
            raise FederationError("The run was not prepared", where=stored.offer.name)
        plan = stored.offer.plan(stored.class_counts, threads=cores())
        return ApprovedRun(hash, stored.offer, plan, self._folder(hash))

    def approved_calibration(self, context: Context) -> ApprovedRun:
        """The run of a context, where its plan asks for calibration; raises as :meth:`approved` does."""
        run = self.approved(context)
        return _with(run, run.offer.calibrate, "Calibration")

    def approved_finder(self, context: Context) -> ApprovedRun:
        """The run of a context, where its plan asks for a lesion finder; raises as :meth:`approved` does."""
        run = self.approved(context)
        return _with(run, run.offer.lesion_finder, "A lesion finder")

    def classes(self, run: int) -> int | None:
        """Number of classes of a run's model, if it was offered to the clinic."""
        found = self._offers.find_run(run)
        return None if found is None else len(found[1].offer.model.classes)

    def is_secure(self, run: int) -> bool:
        """Whether a run's plan has secure sums."""
        found = self._offers.find_run(run)
        return found is not None and found[1].offer.privacy.is_secure

    @property
    def _offers(self) -> Offers:
        return Offers(self.home.offers)

    @property
    def _limits(self) -> Limits:
        return read_settings(self.home).limits

    @property
    def _data(self) -> ClinicData:
        settings = read_settings(self.home)
        return ClinicData(settings.clinic, settings.data, self.home.reviewed, settings.columns)

    def _by_policy(self, offer: Offer) -> tuple[Decision, Reason]:
        """The decision of the clinic's limits, which approve only so many plans in 30 days."""
        decision, reason = self._limits.decide(offer)
        if decision is Decision.APPROVED:
            others = self._offers.count_approved_by_limits(other_than=offer.hash)
            unknown = offer.privacy.is_secure and not is_known_roster(self._offers, offer)
            if others >= self._limits.plans or unknown:
                return Decision.WAITING, Reason.ASKS_A_PERSON
        return decision, reason

    def _never(self, offer: Offer) -> list[str]:
        """What of an offer nobody here can approve, whatever the data."""
        return self._limits.never(offer) + roster_faults(self.home, offer)

    def _folder(self, hash: str) -> OfferFolder:
        return OfferFolder(self.home.offers / hash, self._data.name)

    def _approval(self, offer: Offer) -> Answer:
        """The answer of a clinic that approves: its class counts, or a refusal if its data do not fit."""
        try:
            split = split_clinic_data(self._data, offer, self._folder(offer.hash))
        except DermaFedError as error:
            log.error("the data cannot be used for the plan %s: %s", offer.name, error)
            return Answer(Decision.REFUSED, Reason.NO_DATA, installed_versions())
        if never := self._limits.never(offer, *training_sizes(split, offer)):
            log.error("nobody can approve the plan %s with these data: %s", offer.name, "; ".join(never))
            return Answer(Decision.REFUSED, Reason.BEYOND_LIMITS, installed_versions())
        try:
            counts = self._counts(split, offer)
        except BudgetSpent as error:
            log.error("the plan %s is refused: %s", offer.name, error)
            return Answer(Decision.REFUSED, Reason.BEYOND_LIMITS, installed_versions())
        return Answer(Decision.APPROVED, versions=installed_versions(), class_counts=counts)

    def _counts(self, split: ClinicSplit, offer: Offer) -> NDArray[np.int64] | None:
        """Training images of each class, or patients, with noise; ``None`` if only their sum is told."""
        if offer.privacy.is_secure:
            return None
        if offer.dp is None:
            return count_training_images(split, offer.model.classes)
        folder = self._folder(offer.hash).state
        return private_run(self.home, offer, folder).released_counts(split, offer.model.classes)

    def _approved_offer(self, run: int) -> tuple[str, StoredOffer]:
        found = self._offers.find_run(run)
        if found is None or found[1].decision is not Decision.APPROVED:
            raise NotApproved("Nobody here approved this run", remedy="See fl-client plans")
        for fault in self._never(found[1].offer):
            raise NotApproved(f"No one here can approve this: {fault}", where=found[1].offer.name)
        return found


def _with(run: ApprovedRun, asked: bool, what: str) -> ApprovedRun:
    if not asked:
        raise NotApproved(f"{what} is not part of the plan", where=run.offer.name)
    return run
