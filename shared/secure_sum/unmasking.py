"""After step 5: the server opens the secrets that were released, and takes the masks off the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.hashing import digest
from dermafed.shared.secure_sum.masks import Ring, add_pair_mask, add_self_mask
from dermafed.shared.secure_sum.released_shares import ReleasedShares
from dermafed.shared.secure_sum.round_secrets import agree, public_bytes
from dermafed.shared.secure_sum.sealed_shares import DealtShares
from dermafed.shared.secure_sum.session import Session, refused
from dermafed.shared.secure_sum.shamir import combine_shares


@dataclass(frozen=True)
class Opened:
    """What a sum is unmasked with.

    Attributes:
        session: the session.
        dealt: what each clinic dealt; who is not in it has put no mask on anything.
        survivors: whose vectors are in the sum.
        released: the shares that holders released.
    """

    session: Session
    dealt: Mapping[int, DealtShares]
    survivors: frozenset[int]
    released: Mapping[int, ReleasedShares]

    def secret(self, dealer: int) -> bytes:
        """A clinic's secret: of a survivor the seed of its own mask, else the key of its masks with peers.

        Raises:
            FederationError: too few holders released a share, or the shares are not of this secret.
        """
        shares = {
            holder: share
            for holder, released in self.released.items()
            for of, _, share in released.shares
            if of == dealer
        }
        try:
            secret = combine_shares(shares, self.session.graph.threshold)
        except ValueError as error:
            raise self._cannot_open(dealer, f"{error}{self._missing(dealer)}") from error
        if not self._is_right(dealer, secret):
            raise self._cannot_open(dealer, "a holder, or the clinic itself, gave others than it said")
        return secret

    def _is_right(self, dealer: int, secret: bytes) -> bool:
        if dealer in self.survivors:
            commitment = digest("self seed", self.session.digest, secret)
            return commitment == self.dealt[dealer].seed_commitment
        key = X25519PrivateKey.from_private_bytes(secret)
        return public_bytes(key) == self.session.adverts[dealer].mask_key

    def _missing(self, dealer: int) -> str:
        """The names of those who hold a share and did not release it."""
        names = self.session.terms.roster.names
        silent = [names[at] for at in self.session.graph.holders(dealer) if at not in self.released]
        return f"; not released by: {', '.join(silent)}" if silent else ""

    def _cannot_open(self, dealer: int, why: str) -> FederationError:
        name = self.session.terms.roster.names[dealer]
        return refused(
            f"The mask of '{name}' cannot be taken off the sum: {why}",
            "Go on with the next round: this one can be opened in no other way",
        )


def unmask(total: Ring, opened: Opened) -> None:
    """Take all masks off the sum of the survivors' masked vectors, in place.

    Args:
        total: uint32 (P,).
        opened: the released shares.

    Raises:
        FederationError: a secret cannot be opened; ``total`` is of no use then.
    """
    # All secrets first: a sum that cannot be opened costs no masks.
    secrets = {clinic: opened.secret(clinic) for clinic in sorted(opened.dealt)}
    for clinic, secret in secrets.items():
        if clinic in opened.survivors:
            add_self_mask(total, secret, opened.session.digest, clinic, subtract=True)
        else:
            _take_off_pairs(total, opened, clinic, secret)


def _take_off_pairs(total: Ring, opened: Opened, dropped: int, secret: bytes) -> None:
    """What the survivors among its peers have put on for a clinic that dropped out."""
    session, key = opened.session, X25519PrivateKey.from_private_bytes(secret)
    for peer in opened.survivors.intersection(session.peers_of(dropped)):
        agreed = agree(key, session.adverts[peer].mask_key)
        add_pair_mask(total, agreed, session.digest, peer, dropped, subtract=True)
