"""How many clinics it takes to open a sum, and how many peers each clinic needs above 64 clinics."""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import NamedTuple

from dermafed.shared.errors import SettingsError

LEAST_HONEST = 3
"""Contributors of a sum that do not act with the server: of two, each knows the other's vector."""

MOST_CLINICS = 2048
"""Of one sum: with more, its error may exceed 2**-20 of its range."""

ALL_PAIRS = 64
"""Up to so many clinics, each shares a mask with every other."""

MOST_ATTEMPTS = 3
"""At one sum: each is another draw of the graph, of which a server could take the one that it likes best."""

DROPPING = 10
"""One clinic of so many may drop out of a graph, at random; sums of all pairs allow more."""

SECRECY_RISK = 2**40
"""With a probability of at most 1 / SECRECY_RISK, a graph gives some clinic fewer than two honest peers."""

OPENING_RISK = 2**20
"""With a probability of at most 1 / OPENING_RISK, too few holders of some secret are left to open a sum."""


def least_survivors(clinics: int, colluders: int) -> int:
    """The threshold: how many clinics must be in a sum, and must agree on who is.

    It is the smallest t with 2t > n + f, so that two sets of t have an honest clinic in common, which agrees
    to one set only; and at least f + 3, so that three of them are honest.

    Args:
        clinics: n of the roster.
        colluders: f clinics that may act together with the server.

    Raises:
        SettingsError: there are too few clinics for so many colluders, or too many clinics.
    """
    threshold = max((clinics + colluders) // 2 + 1, colluders + LEAST_HONEST)
    if threshold > clinics:
        raise SettingsError(
            f"A secure sum of {clinics} clinics, of which {colluders} may act with the server, has fewer than"
            f" {LEAST_HONEST} honest contributors, or could be opened twice",
            where="aggregation",
            remedy=f"Invite {colluders + LEAST_HONEST} clinics at least, or train without secure aggregation",
        )
    if clinics > MOST_CLINICS:
        raise SettingsError(
            f"A secure sum of {clinics} clinics",
            where="aggregation",
            remedy=f"Ask {MOST_CLINICS} at most, so that the sum is exact enough",
        )
    return threshold


def least_cohort(clinics: int, colluders: int, groups: int) -> int:
    """How many clinics must take part in sums over groups, each with three honest contributors.

    Args:
        clinics: n of the roster.
        colluders: f clinics that may act together with the server; all of them may be in one group.
        groups: how many groups there are; 1: one sum over all.

    Raises:
        SettingsError: see :func:`least_survivors`, or the clinics are too few for the groups.
    """
    least = groups * (colluders + LEAST_HONEST)
    if groups > 1 and least > clinics:
        raise SettingsError(
            f"The robust rule needs {groups} sums over groups with secure aggregation, each of"
            f" {colluders + LEAST_HONEST} clinics or more, so that {LEAST_HONEST} of them do not act with the"
            f" server: {least} clinics, and there are {clinics}",
            where="robust.rule",
            remedy=f"Invite {least} clinics, name fewer colluders or hostile ones, or leave out the rule, or"
            " secure aggregation",
        )
    return max(least_survivors(clinics, colluders), least)


class Reach(NamedTuple):
    """Of the graph of a sum.

    Attributes:
        peers: how many other clinics each one shares masks with, k.
        threshold: how many of a clinic's holders (these peers and itself) open one of its secrets.
    """

    peers: int
    threshold: int


@lru_cache
def reach_of(clinics: int, colluders: int) -> Reach:
    """The graph's degree and the threshold of a clinic's secrets; all pairs up to 64 clinics.

    Above, as few peers as fulfil two conditions, each for all clinics together (a union bound) and with the
    exact hypergeometric tails, after Bell et al. 2020, section 3.2:

    * Whoever has ``threshold`` holders left, has two honest peers among them, whichever drop out: at most
      threshold - 3 of its peers collude. So no secret is opened by colluders alone, and with itself every
      sum has three honest clinics that only it masks together.
    * Where a tenth of the clinics drop out at random, every secret still has ``threshold`` holders.

    Raises:
        SettingsError: see :func:`least_survivors`.
    """
    every = Reach(clinics - 1, least_survivors(clinics, colluders))
    if clinics <= ALL_PAIRS:
        return every
    for peers in range(4, clinics - 1, 2):
        threshold = _first_rare(clinics, colluders, peers, SECRECY_RISK) + LEAST_HONEST - 1
        dropped = _first_rare(clinics, clinics // DROPPING, peers, OPENING_RISK) - 1
        if peers - dropped >= threshold:
            return Reach(peers, threshold)
    return every


def _first_rare(clinics: int, marked: int, peers: int, risk: int) -> int:
    """The smallest x such that with probability 1 - 1 / risk no clinic has x marked peers."""
    others = clinics - 1
    marked = min(marked, others)
    ways, tail = comb(others, peers), 0
    for x in range(min(marked, peers), -1, -1):
        tail += comb(marked, x) * comb(others - marked, peers - x)
        if tail * clinics * risk > ways:
            return x + 1
    return 0
