"""The clinic's word on what a server asks: answers to offers, and what a message may ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context, RecordDict

from dermafed.client.node.client_app import NotApproved
from dermafed.client.node.clinic_data import (
    Clinic,
    OfferFolder,
    count_training_images,
    preprocess_clinic_data,
    split_clinic_data,
)
from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.offers import Offers, StoredOffer
from dermafed.client.node.policy import decide
from dermafed.shared.errors import DermaFedError, FederationError, SettingsError
from dermafed.shared.process import cores
from dermafed.shared.protocol.agreement import Answer, Decision, Reason, decode_counts, installed_versions
from dermafed.shared.protocol.messages import EXPLAIN_QUERY, Instruction
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.plan import Plan

log = logging.getLogger("dermafed.client")


@dataclass(frozen=True, slots=True)
class Approved:
    """A run that the clinic agreed to, ready for its first round.

    Attributes:
        hash: of the offer.
        offer: what was agreed.
        plan: with the counts of all clinics.
        folder: the clinic's side of it.
    """

    hash: str
    offer: Offer
    plan: Plan
    folder: OfferFolder


@dataclass(frozen=True)
class ClinicConsent:
    """What a clinic's folder says; read anew for every message, so that a person's word counts at once.

    Attributes:
        home: the clinic's folder.
        warm: called with the context of a run that is ready, to load what its rounds need.
    """

    home: Home
    warm: Callable[[Context], object] = lambda context: None

    def answer(self, offer: str, context: Context) -> Answer:
        """The clinic's answer to an offer's text."""
        try:
            asked = Offer.from_text(offer)
        except SettingsError as error:
            log.error("an offer that cannot be read: %s", error)
            return Answer(Decision.REFUSED, Reason.UNREADABLE, installed_versions())
        limits = read_settings(self.home).limits
        known = self._offers.remember(asked, context.run_id, decide(asked, limits))
        if known.decision is not Decision.APPROVED:
            return Answer(known.decision, known.reason, installed_versions())
        return self._joining(asked)

    def prepare(self, content: RecordDict, context: Context) -> None:
        """Preprocess the images of an approved run and load what its rounds need.

        Raises:
            NotApproved: the clinic did not agree to the run.
            ImageError: an image cannot be read.
        """
        hash, known = self._agreed(context.run_id)
        counts = decode_counts(content, len(known.offer.model.classes))
        self._offers.keep_counts(hash, tuple(counts.tolist()))
        preprocess_clinic_data(split_clinic_data(self._clinic, known.offer, self._folder(hash)), known.offer)
        self.warm(context)

    def check(self, asked: Instruction, kind: str, context: Context) -> None:
        """Raise NotApproved unless the clinic agreed to the run, its rounds, and explanations if asked."""
        _, known = self._agreed(context.run_id)
        offer = known.offer
        if asked.round > offer.rounds:
            raise NotApproved(f"Round {asked.round} of a plan of {offer.rounds}", where=offer.name)
        if kind == EXPLAIN_QUERY and not offer.explain:
            raise NotApproved("Explanations are no part of the plan", where=offer.name)

    def approved(self, context: Context) -> Approved:
        """The run of a context, ready for its rounds.

        Raises:
            NotApproved: the clinic did not agree to the run.
            FederationError: the server has not told the counts yet.
        """
        hash, known = self._agreed(context.run_id)
        if known.class_counts is None:
            raise FederationError("The run was not prepared", where=known.offer.name)
        plan = known.offer.plan(known.class_counts, threads=cores())
        return Approved(hash, known.offer, plan, self._folder(hash))

    def calibrating(self, context: Context) -> Approved:
        """The run of a context, where its plan asks for calibration.

        Raises:
            NotApproved: the clinic did not agree to that.
            FederationError: the server has not told the counts yet.
        """
        run = self.approved(context)
        if not run.offer.calibrate:
            raise NotApproved("Calibration is no part of the plan", where=run.offer.name)
        return run

    def classes(self, run: int) -> int | None:
        """Number of classes of a run's model, if the clinic was asked about it."""
        found = self._offers.of_run(run)
        return None if found is None else len(found[1].offer.model.classes)

    @property
    def _offers(self) -> Offers:
        return Offers(self.home.offers)

    @property
    def _clinic(self) -> Clinic:
        settings = read_settings(self.home)
        return Clinic(settings.clinic, settings.data, self.home.reviewed)

    def _folder(self, hash: str) -> OfferFolder:
        return OfferFolder(self.home.offers / hash, self._clinic.name)

    def _joining(self, offer: Offer) -> Answer:
        """An approval with the clinic's counts; without data that fit, it cannot join."""
        try:
            site = split_clinic_data(self._clinic, offer, self._folder(offer.hash))
        except DermaFedError as error:
            log.error("the data cannot be used for the plan %s: %s", offer.name, error)
            return Answer(Decision.REFUSED, Reason.NO_DATA, installed_versions())
        counts = count_training_images(site, offer.model.classes)
        return Answer(Decision.APPROVED, versions=installed_versions(), class_counts=counts)

    def _agreed(self, run: int) -> tuple[str, StoredOffer]:
        found = self._offers.of_run(run)
        if found is None or found[1].decision is not Decision.APPROVED:
            raise NotApproved("Nobody here approved this run", remedy="See fl-client plans")
        return found
