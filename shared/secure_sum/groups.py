"""Groups of clinics, with a sum of each: so that a rule can compare them, and a liar spoils its own only.

The order in which all clinics of a session are dealt into the groups follows from the session's digest, and
so from a seed that they draw together in each attempt (:mod:`.reveals`): neither the server nor any clinic
chooses who is with whom. Each clinic computes its group by itself. Whatever the grouping, the sums of a round
that a server can open have, in any combination of theirs, three honest clinics with the same coefficient: a
clinic that signed a list takes part in no later attempt, so those of the first sum are in no other.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from dermafed.shared.secure_sum.graph import Graph, draw_graph
from dermafed.shared.secure_sum.hashing import digest
from dermafed.shared.secure_sum.packing import packed_index, packed_indices
from dermafed.shared.secure_sum.session import Session
from dermafed.shared.secure_sum.thresholds import least_survivors


def groups_of(session: Session) -> tuple[Session, ...]:
    """The sessions of a session's groups, whose sizes differ by one at most; itself where there are none."""
    count = session.terms.groups
    if count == 1:
        return (session,)
    order = sorted(session.adverts, key=lambda at: hashlib.sha256(session.digest + packed_index(at)).digest())
    return tuple(_group(session, tuple(sorted(order[first::count]))) for first in range(count))


def group_of(session: Session, clinic: int) -> Session:
    """The session of a clinic's group; the clinic takes part."""
    return next(group for group in groups_of(session) if clinic in group.adverts)


def _group(session: Session, members: tuple[int, ...]) -> Session:
    """The session of these clinics, ascending: as if they were the roster of a sum of their own."""
    colluders, seed = session.terms.colluders, digest("group", session.digest, packed_indices(members))
    drawn = draw_graph(len(members), colluders, seed)
    return replace(
        session,
        adverts={clinic: session.adverts[clinic] for clinic in members},
        graph=Graph(tuple(members[at] for at in drawn.ring), drawn.peers, drawn.threshold),
        digest=seed,
        threshold=least_survivors(len(members), colluders),
    )
