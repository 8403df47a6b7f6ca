"""A clinic's side of a secure sum, without any network: each method takes the server's message of one step.

Every check is the clinic's own. Where one fails, the attempt is over here, and nothing more is sent for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import ArrayLike

from dermafed.shared.secure_sum.adverts import Advert, Cohort, sign_advert
from dermafed.shared.secure_sum.context import KeyContext, Task
from dermafed.shared.secure_sum.groups import group_of
from dermafed.shared.secure_sum.hashing import digest
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.masks import add_pair_mask, add_self_mask
from dermafed.shared.secure_sum.released_shares import ReleasedShare, ReleasedShares, Secret
from dermafed.shared.secure_sum.reveals import Reveal, Reveals, commit, revealing, sign_reveal
from dermafed.shared.secure_sum.round_secrets import RoundSecrets, agree, public_bytes
from dermafed.shared.secure_sum.sealed_shares import (
    DealtShares,
    DeliveredShares,
    SealedShare,
    SharePair,
    seal,
    unseal,
)
from dermafed.shared.secure_sum.session import Session, check_cohort, no_commitment, open_session, refused
from dermafed.shared.secure_sum.shamir import split_secret
from dermafed.shared.secure_sum.signing import is_signed, sign
from dermafed.shared.secure_sum.steps import Step, Steps
from dermafed.shared.secure_sum.sum_log import SumLog
from dermafed.shared.secure_sum.survivors import Signatures, SignedSurvivors, Survivors
from dermafed.shared.secure_sum.terms import Terms

_LIE = "The server told clinics different things, or a message was changed; ask who runs it"


class ClinicSide:
    """One clinic in one attempt.

    Args:
        terms: what it approved.
        name: its name in the roster.
        key: its private enrolment key, EC P-384.
        log: what it has done in sums before, on its disk.
    """

    def __init__(self, terms: Terms, name: str, key: ec.EllipticCurvePrivateKey, log: SumLog) -> None:
        self._terms, self._key, self._log = terms, key, log
        self._place = terms.roster.place(name)
        self._steps = Steps()
        self._context: KeyContext
        self._advert: Advert
        self._secrets: RoundSecrets
        self._cohort = Cohort(())
        self._session: Session
        self._shares: dict[int, SharePair] = {}
        self._survivors: Survivors

    def advertise(self, context: KeyContext, task: Task) -> Advert:
        """Step 1: make fresh keys for the attempt that the server proposes.

        Args:
            context: the server's message.
            task: what this clinic was asked for, and the model that it was sent.

        Raises:
            FederationError: the context differs from what was approved or asked for, the attempt was begun
                before, or a list of survivors was signed for this sum.
            StorageError: that it is begun cannot be written down.
        """
        with self._steps.take(Step.KEYS, Step.REVEAL if self._terms.draws_graph else Step.SHARES):
            self._terms.check(context, task)
            self._log.begin(context)
            self._context, self._secrets = context, RoundSecrets.fresh()
            self._advert = sign_advert(self._key, context.digest, self._unsigned())
            return self._advert

    def reveal(self, cohort: Cohort) -> Reveal | None:
        """Step 1b, where a graph is drawn: open the commitment, once all others' are known.

        Returns:
            This clinic's part of the seed; ``None`` where others draw it.

        Raises:
            FederationError: the cohort is too small, or lacks this clinic's own advert.
        """
        with self._steps.take(Step.REVEAL, Step.SHARES):
            self._cohort = self._checked(cohort)
            if self._place not in revealing(cohort, self._terms.drawing):
                return None
            part = self._secrets.seed_part
            return sign_reveal(self._key, self._context.digest, cohort, self._place, part)

    def deal(self, cohort: Cohort) -> DealtShares:
        """Step 2, where all pairs share masks: seal shares of the two secrets for every peer.

        Raises:
            FederationError: the cohort is too small or lacks this clinic, or a peer's keys are not signed.
        """
        with self._steps.take(Step.SHARES, Step.MASKED_VECTOR):
            return self._dealt(self._checked(cohort), Reveals(()))

    def deal_after_reveals(self, reveals: Reveals) -> DealtShares:
        """Step 2, where a graph is drawn: the same for the graph's peers.

        Raises:
            FederationError: the graph's seed is not that of the commitments, a peer's keys are not signed by
                it, or too few peers take part.
        """
        with self._steps.take(Step.SHARES, Step.MASKED_VECTOR):
            return self._dealt(self._cohort, reveals)

    def mask(self, delivered: DeliveredShares, values: Mapping[str, ArrayLike]) -> MaskedVector:
        """Step 3: open the shares of peers, and send the values under the masks with these peers.

        Args:
            delivered: the server's message.
            values: by part of the layout, this clinic's numbers.

        Raises:
            FederationError: shares are not those that a peer sealed for this clinic in this session, too few
                peers dealt, or a value does not fit its part.
        """
        with self._steps.take(Step.MASKED_VECTOR, Step.SURVIVORS):
            vector = self._terms.layout.encode(values)
            for share in delivered.shares:
                self._shares[share.clinic] = self._unsealed(share)
            self._check_holders(set(self._shares), "shares")
            for peer in sorted(self._shares.keys() - {self._place}):
                add_pair_mask(vector, self._mask_secret(peer), self._session.digest, self._place, peer)
            add_self_mask(vector, self._secrets.self_seed, self._session.digest, self._place)
            return MaskedVector(self._place, vector, self._terms.layout.tail)

    def sign(self, survivors: Survivors) -> SignedSurvivors:
        """Step 4: sign the list of those who are in the sum: one list of this sum, ever.

        Raises:
            FederationError: this clinic is not in it, it is too short, a peer in it did not deal, or a list
                was signed for this sum before.
            StorageError: that it is signed cannot be written down.
        """
        with self._steps.take(Step.SURVIVORS, Step.RELEASE):
            listed = set(survivors.clinics)
            if self._place not in listed:
                raise refused("The list of survivors lacks this clinic, which sent its masked vector", _LIE)
            if not listed <= self._session.adverts.keys():
                raise refused("The list of survivors has a clinic that sent no keys", _LIE)
            self._check_count(len(listed), "The list of survivors has")
            self._check_holders(listed & self._shares.keys(), "masked vectors")
            if listed & {*self._session.peers_of(self._place)} - self._shares.keys():
                raise refused("The list of survivors has a peer that dealt this clinic no shares", _LIE)
            self._log.sign(self._context)
            self._survivors = survivors
            return SignedSurvivors(self._place, sign(self._key, survivors.signed_text(self._session.digest)))

    def release(self, signatures: Signatures) -> ReleasedShares:
        """Step 5: of each dealer release the share of one secret, once enough clinics signed the same list.

        Raises:
            FederationError: too few signed it, or a signature is not of this list.
        """
        with self._steps.take(Step.RELEASE, Step.DONE):
            self._check_signatures(signatures)
            listed, shares = set(self._survivors.clinics), self._shares
            self._shares = {}
            del self._secrets
            return ReleasedShares(
                self._place,
                tuple(_released(dealer, shares[dealer], dealer in listed) for dealer in sorted(shares)),
            )

    def _unsigned(self) -> Advert:
        own = self._secrets
        commitment = no_commitment()
        if self._terms.draws_graph:
            commitment = commit(self._context.digest, self._place, own.seed_part)
        return Advert(self._place, public_bytes(own.share_key), public_bytes(own.mask_key), commitment, b"")

    def _checked(self, cohort: Cohort) -> Cohort:
        check_cohort(self._terms, cohort)
        if self._advert not in cohort.adverts:
            raise refused("The server's list of keys lacks this clinic's own", _LIE)
        return cohort

    def _dealt(self, cohort: Cohort, reveals: Reveals) -> DealtShares:
        own = self._secrets
        self._session = session = group_of(
            open_session(self._terms, self._context, cohort, reveals), self._place
        )
        holders, threshold = session.holders(self._place), session.graph.threshold
        self._check_holders(set(holders), "keys")
        session.check_signed(holders)
        split = own.self_seed, own.mask_key.private_bytes_raw()
        seeds, keys = (split_secret(each, holders, threshold) for each in split)
        pairs = {holder: SharePair(seeds[holder], keys[holder]) for holder in holders}
        self._shares[self._place] = pairs.pop(self._place)
        sealed = (
            SealedShare(to, seal(pair, self._share_secret(to), session.digest, self._place, to))
            for to, pair in pairs.items()
        )
        return DealtShares(self._place, digest("self seed", session.digest, own.self_seed), tuple(sealed))

    def _unsealed(self, share: SealedShare) -> SharePair:
        dealer, pair = share.clinic, None
        if dealer in self._session.peers_of(self._place):
            pair = unseal(share.sealed, self._share_secret(dealer), self._session.digest, dealer, self._place)
        if pair is None:
            raise refused(f"The shares that are said to be of clinic {dealer} cannot be opened", _LIE)
        return pair

    def _check_signatures(self, signatures: Signatures) -> None:
        text = self._survivors.signed_text(self._session.digest)
        keys = self._terms.roster.keys
        for clinic, signature in signatures.signed:
            if clinic not in self._survivors.clinics or not is_signed(keys[clinic], signature, text):
                raise refused("A signature is not one of the list of survivors that this clinic signed", _LIE)
        self._check_count(len({clinic for clinic, _ in signatures.signed}), "The list was signed by")

    def _check_count(self, count: int, who: str) -> None:
        if count < self._session.threshold:
            raise refused(
                f"{who} {count} clinics of the {self._session.threshold} that a sum needs",
                "Go on with the next round once more clinics are connected: nothing of this one was opened",
            )

    def _check_holders(self, present: set[int], sent: str) -> None:
        found = len(present & {*self._session.graph.holders(self._place)})
        if found < self._session.graph.threshold:
            raise refused(
                f"Only {found} holders of this clinic's shares sent their {sent},"
                f" of the {self._session.graph.threshold} that a sum needs",
                "Begin the next attempt once more clinics are connected",
            )

    def _mask_secret(self, peer: int) -> bytes:
        return agree(self._secrets.mask_key, self._session.adverts[peer].mask_key)

    def _share_secret(self, peer: int) -> bytes:
        return agree(self._secrets.share_key, self._session.adverts[peer].share_key)


def _released(dealer: int, pair: SharePair, in_sum: bool) -> ReleasedShare:
    """One share of a dealer: there is no way to release both."""
    if in_sum:
        return ReleasedShare(dealer, Secret.SELF_SEED, pair.self_seed)
    return ReleasedShare(dealer, Secret.MASK_KEY, pair.mask_key)
