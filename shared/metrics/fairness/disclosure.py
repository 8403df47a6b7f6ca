"""Statistical disclosure control: which counts of a table to hide, so that no small one can be derived.

Hiding the small cells is not enough: the only hidden cell of a class follows from the class's total by
subtraction, and longer chains of rows and columns give away others. So what the published numbers leave
possible for each hidden one is worked out by linear programming, and more is hidden until that is wide
enough (complementary suppression; Fischetti and Salazar 2000 call it the attacker's problem).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Booleans = NDArray[np.bool_]

FEWEST_IMAGES = 10
"""Nothing is disclosed of a group with fewer images."""

FEWEST_OF_CLASS = 5
"""Nor of fewer images of a class in a group."""

LEAST_RANGE = 3
"""What is published leaves this many images between the least and the most that a hidden number can be."""


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """The undisclosed part of a table of images by group and class; the classes' totals are always disclosed.

    Attributes:
        cells: bool (G, C).
        groups: groups of which nothing is disclosed, bool (G,); of the others at least the number of images.
    """

    cells: Booleans
    groups: Booleans


def hide_small(counts: Ints) -> Hidden:
    """Hide the small cells and groups, and what else would give them away.

    Args:
        counts: images of each group and class (G, C).

    Example:
        Of [[20, 3], [30, 40]] not only the 3 is hidden: 43 - 40 and 23 - 20 would give it away, and so
        on, which leaves the two groups' totals.
    """
    groups = counts.sum(axis=1) < FEWEST_IMAGES
    found = Hidden((counts < FEWEST_OF_CLASS) | groups[:, None], groups)
    while (more := _hide_beside_single(counts, found) or _hide_beside_derivable(counts, found)) is not None:
        found = more
    return found


def possible_range(counts: Ints, hidden: Hidden, of: Booleans) -> tuple[float, float]:
    """The least and the largest sum of some cells that the published numbers allow.

    Args:
        counts: images of each group and class (G, C).
        hidden: what is not published of them.
        of: the cells to sum (G, C).
    """
    from scipy.optimize import linprog  # not above: a server that publishes no groups spares 20 MB

    groups, classes = counts.shape
    totals = np.kron(np.eye(groups), np.ones(classes))[~hidden.groups]
    sums = np.concatenate([totals, np.kron(np.ones(groups), np.eye(classes))])
    unknown = hidden.cells.ravel()
    bounds = [(0, None) if secret else (n, n) for secret, n in zip(unknown, counts.ravel(), strict=True)]
    least, most = (
        sign * linprog(sign * of.ravel(), A_eq=sums, b_eq=sums @ counts.ravel(), bounds=bounds).fun
        for sign in (1, -1)
    )
    return least, most


def _hide_beside_single(counts: Ints, hidden: Hidden) -> Hidden | None:
    """Hide a second cell where a class or a group has one alone; ``None`` where there is no such."""
    places = np.arange(counts.size).reshape(counts.shape)
    for line in (*places.T, *places[~hidden.groups]):
        secret = hidden.cells.ravel()[line]
        if secret.sum() == 1 and not secret.all():
            return next(_with_one_cell_more(counts, hidden, line))
    return None


def _hide_beside_derivable(counts: Ints, hidden: Hidden) -> Hidden | None:
    """Hide more where the published numbers give away a hidden one; ``None`` where they do not."""
    derivable = next((of for of in _secrets(hidden) if not _is_uncertain(counts, hidden, of)), None)
    if derivable is None:
        return None
    choices = [
        *_with_one_cell_more(counts, hidden, range(counts.size)),
        *_with_one_group_more(counts, hidden),
    ]
    enough = (more for more in choices if _is_uncertain(counts, more, derivable))
    return next(enough, next(iter(choices), None))


def _is_uncertain(counts: Ints, hidden: Hidden, of: Booleans) -> bool:
    least, most = possible_range(counts, hidden, of)
    return most - least >= LEAST_RANGE - 1e-6


def _secrets(hidden: Hidden) -> Iterator[Booleans]:
    """Each hidden cell and each hidden group, as a mask (G, C)."""
    for place in np.flatnonzero(hidden.cells):
        cell = np.zeros(hidden.cells.shape, bool)
        cell.flat[place] = True
        yield cell
    for group in np.flatnonzero(hidden.groups):
        whole = np.zeros(hidden.cells.shape, bool)
        whole[group] = True
        yield whole


def _with_one_cell_more(counts: Ints, hidden: Hidden, of: Iterable[int]) -> Iterator[Hidden]:
    """With each cell, by its place, hidden that is not yet; the smallest first."""
    for place in sorted(of, key=lambda place: counts.flat[place]):
        if not hidden.cells.flat[place]:
            cells = hidden.cells.copy()
            cells.flat[place] = True
            yield Hidden(cells, hidden.groups)


def _with_one_group_more(counts: Ints, hidden: Hidden) -> Iterator[Hidden]:
    """With each group hidden that is not yet; the smallest first."""
    for group in np.argsort(counts.sum(axis=1), kind="stable"):
        if not hidden.groups[group]:
            groups = hidden.groups | (np.arange(len(counts)) == group)
            yield Hidden(hidden.cells | groups[:, None], groups)
