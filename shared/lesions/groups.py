"""Groups of images that must stay together, and seeded draws that depend on nothing but a name."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dermafed.shared.lesions.record import LesionRecord


def lesion_groups(records: Sequence[LesionRecord]) -> list[list[int]]:
    """Group images that show the same lesion or the same patient, also through others.

    Returns:
        The indices of each group's records; groups in order of their first record.
    """
    ids = [_owners(record) for record in records]
    node = {
        owner: len(records) + number
        for number, owner in enumerate(dict.fromkeys(o for os in ids for o in os))
    }
    edges = [(image, node[owner]) for image, owners in enumerate(ids) for owner in owners]
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    size = len(records) + len(node)
    _, component = connected_components(
        coo_array((np.ones(len(edges)), (ends[0], ends[1])), shape=(size, size))
    )
    groups: dict[int, list[int]] = {}
    for image in range(len(records)):
        groups.setdefault(int(component[image]), []).append(image)
    return list(groups.values())


def _owners(record: LesionRecord) -> list[tuple[str, str]]:
    pairs = (("lesion", record.lesion_id), ("patient", record.patient_id))
    return [(kind, name) for kind, name in pairs if name is not None]


def draw(seed: int, *names: str) -> int:
    """Draw a number in [0, 2^64) that is fixed by the seed and the names.

    Sorting by such draws shuffles a set in a way that does not depend on the order, or the presence, of the
    other elements: a clinic's split is the same alone and in a federation.
    """
    digest = blake2b("\0".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
