"""The server's side of a secure sum, without any network: it takes the clinics' messages, step by step.

Who sends nothing, or what is refused, has dropped out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.secure_sum.adverts import Advert, Cohort, is_signed_advert
from dermafed.shared.secure_sum.context import KeyContext, Task
from dermafed.shared.secure_sum.groups import groups_of
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.masks import Ring
from dermafed.shared.secure_sum.released_shares import ReleasedShares, Secret
from dermafed.shared.secure_sum.reveals import Reveal, Reveals, is_revealed, revealing
from dermafed.shared.secure_sum.sealed_shares import DealtShares, DeliveredShares, SealedShare
from dermafed.shared.secure_sum.session import Session, check_cohort, open_session, refused
from dermafed.shared.secure_sum.signing import is_signed
from dermafed.shared.secure_sum.steps import Step, Steps
from dermafed.shared.secure_sum.survivors import Signatures, SignedSurvivors, Survivors
from dermafed.shared.secure_sum.terms import Terms
from dermafed.shared.secure_sum.unmasking import Opened, unmask

_LEAVE_OUT = "It is left out of this sum; its own log says more"


class ServerSide:
    """One attempt at one sum, at the server.

    Args:
        terms: what the clinics approved.
        task: what they are asked for.
        attempt: the attempt's number, from 1.
    """

    def __init__(self, terms: Terms, task: Task, attempt: int) -> None:
        self.context: KeyContext = terms.context(task, attempt)
        self._terms, self._task = terms, task
        self._steps = Steps()
        self._adverts: dict[int, Advert] = {}
        self._reveals: dict[int, Reveal] = {}
        self._session: Session
        self._dealt: dict[int, DealtShares] = {}
        self._sum: Ring
        self._masked: set[int] = set()
        self._survivors: Survivors
        self._signed: dict[int, SignedSurvivors] = {}
        self._released: dict[int, ReleasedShares] = {}

    def take_advert(self, advert: Advert) -> None:
        """Step 1: take a clinic's keys.

        Raises:
            FederationError: they are not signed by a clinic of the roster, or it has sent some already.
        """
        self._accept(Step.KEYS, advert.clinic, range(len(self._terms.roster)), self._adverts)
        key = self._terms.roster.keys[advert.clinic]
        if not is_signed_advert(key, self.context.digest, advert):
            raise refused("Its keys are not signed with the key that it enrolled with", _LEAVE_OUT)
        self._adverts[advert.clinic] = advert

    def close_keys(self) -> Cohort:
        """The message to all that sent keys.

        Raises:
            FederationError: they are too few.
        """
        with self._steps.take(Step.KEYS, Step.REVEAL if self._terms.draws_graph else Step.SHARES):
            self._check_count(self._adverts, "keys", self._terms.threshold, range(len(self._terms.roster)))
            cohort = self._cohort
            check_cohort(self._terms, cohort)
            if not self._terms.draws_graph:
                self._session = open_session(self._terms, self.context, cohort, Reveals(()))
            return cohort

    def take_reveal(self, reveal: Reveal) -> None:
        """Step 1b: take a clinic's part of the graph's seed.

        Raises:
            FederationError: it is not what it committed to.
        """
        self._accept(Step.REVEAL, reveal.clinic, revealing(self._cohort, self._terms.drawing), self._reveals)
        key = self._terms.roster.keys[reveal.clinic]
        if not is_revealed(key, self.context.digest, self._cohort, reveal):
            raise refused("Its part of the graph's seed is not the one that it committed to", _LEAVE_OUT)
        self._reveals[reveal.clinic] = reveal

    def close_reveals(self) -> Reveals:
        """The message to all that sent keys.

        Raises:
            FederationError: one of those that draw the seed did not open its commitment.
        """
        with self._steps.take(Step.REVEAL, Step.SHARES):
            reveals = Reveals(tuple(self._reveals[clinic] for clinic in sorted(self._reveals)))
            self._session = open_session(self._terms, self.context, self._cohort, reveals)
            return reveals

    def groups(self) -> tuple[ServerSide, ...]:
        """The sides of the groups, each of which takes the steps from the second on; or itself."""
        if self._terms.groups == 1:
            return (self,)
        return tuple(map(self._side_of, groups_of(self._session)))

    def take_dealt(self, dealt: DealtShares) -> None:
        """Step 2: take the shares that a clinic dealt.

        Raises:
            FederationError: they are not for its peers.
        """
        self._accept(Step.SHARES, dealt.clinic, self._session.adverts, self._dealt)
        if tuple(share.clinic for share in dealt.shares) != self._session.peers_of(dealt.clinic):
            raise refused("Its shares are not for its peers", _LEAVE_OUT)
        self._dealt[dealt.clinic] = dealt

    def close_shares(self) -> dict[int, DeliveredShares]:
        """The message to each clinic that dealt, by its place.

        Raises:
            FederationError: they are too few.
        """
        with self._steps.take(Step.SHARES, Step.MASKED_VECTOR):
            self._check_session(self._dealt, "shares")
            self._sum = np.zeros(self._terms.layout.size, np.uint32)
            inbox: dict[int, list[SealedShare]] = {clinic: [] for clinic in self._dealt}
            for dealer in sorted(self._dealt):
                for holder, sealed in self._dealt[dealer].shares:
                    if holder in inbox:
                        inbox[holder].append(SealedShare(dealer, sealed))
            return {clinic: DeliveredShares(tuple(shares)) for clinic, shares in inbox.items()}

    def take_masked(self, masked: MaskedVector) -> None:
        """Step 3: add a masked vector to the sum.

        Raises:
            FederationError: it is of another length, or of a clinic that did not deal.
        """
        self._accept(Step.MASKED_VECTOR, masked.clinic, self._dealt, self._masked)
        if masked.values.shape != self._sum.shape:
            raise refused(f"Its masked vector has {masked.values.size} numbers", _LEAVE_OUT)
        np.add(self._sum, masked.values, out=self._sum)
        self._masked.add(masked.clinic)

    def close_masked(self) -> Survivors:
        """The message to all that sent a masked vector.

        Raises:
            FederationError: they are too few.
        """
        with self._steps.take(Step.MASKED_VECTOR, Step.SURVIVORS):
            self._check_session(self._masked, "masked vectors")
            self._survivors = Survivors(tuple(sorted(self._masked)))
            return self._survivors

    def take_signed(self, signed: SignedSurvivors) -> None:
        """Step 4: take a signature of the list.

        Raises:
            FederationError: it is not one.
        """
        self._accept(Step.SURVIVORS, signed.clinic, self._masked, self._signed)
        text = self._survivors.signed_text(self._session.digest)
        if not is_signed(self._terms.roster.keys[signed.clinic], signed.signature, text):
            raise refused("Its signature is not one of the list of survivors", _LEAVE_OUT)
        self._signed[signed.clinic] = signed

    def close_survivors(self) -> Signatures:
        """The message to all that signed.

        Raises:
            FederationError: they are too few.
        """
        with self._steps.take(Step.SURVIVORS, Step.RELEASE):
            self._check_session(self._signed, "signatures")
            return Signatures(tuple(self._signed[clinic] for clinic in sorted(self._signed)))

    def take_released(self, released: ReleasedShares) -> None:
        """Step 5: take the shares that a clinic releases.

        Raises:
            FederationError: they are not one of each of its dealers, of the right secret.
        """
        self._accept(Step.RELEASE, released.clinic, self._signed, self._released)
        expected = tuple(
            (dealer, Secret.SELF_SEED if dealer in self._masked else Secret.MASK_KEY)
            for dealer in self._session.holders(released.clinic)
            if dealer in self._dealt
        )
        if tuple((dealer, secret) for dealer, secret, _ in released.shares) != expected:
            raise refused("The shares that it releases are not those of its dealers", _LEAVE_OUT)
        self._released[released.clinic] = released

    def close(self) -> dict[str, NDArray[np.float64]]:
        """The sums by part of the layout, over the survivors.

        Raises:
            FederationError: too few released their shares, or a clinic's secret cannot be opened by them.
        """
        with self._steps.take(Step.RELEASE, Step.DONE):
            opened = Opened(self._session, self._dealt, frozenset(self._masked), self._released)
            unmask(self._sum, opened)
            return self._terms.layout.decode(self._sum)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those who are in the sum, once the list of survivors is closed."""
        return tuple(self._terms.roster.names[clinic] for clinic in self._survivors.clinics)

    @property
    def clinics(self) -> Collection[int]:
        """The places of those that are in the group, or that sent keys, once that is known."""
        return self._session.adverts.keys()

    @property
    def _cohort(self) -> Cohort:
        return Cohort(tuple(self._adverts[clinic] for clinic in sorted(self._adverts)))

    def _accept(self, step: Step, clinic: int, known: Collection[int], taken: Collection[int]) -> None:
        """Refuse a message of another step, of a clinic that is not in it, or a second one."""
        self._steps.check(step)
        if clinic not in known or clinic in taken:
            raise refused("Nothing is awaited of this clinic in this step", _LEAVE_OUT)

    def _side_of(self, session: Session) -> ServerSide:
        side = ServerSide(self._terms, self._task, self.context.attempt)
        side._session, side._steps.next = session, Step.SHARES
        return side

    def _check_session(self, taken: Collection[int], sent: str) -> None:
        self._check_count(taken, sent, self._session.threshold, sorted(self._session.graph.ring))

    def _check_count(self, taken: Collection[int], sent: str, needed: int, of: Iterable[int]) -> None:
        if len(taken) >= needed:
            return
        missing = [self._terms.roster.names[clinic] for clinic in of if clinic not in taken]
        raise refused(
            f"{len(taken)} clinics sent their {sent}, of the {needed} that a secure sum needs;"
            f" missing: {', '.join(missing)}",
            "Nothing was opened. Connect the clinics named here, and begin the next attempt, or, if any has"
            " signed its list of survivors, the next round",
        )
