"""Exact search of the nearest cases: all distances, by one product of a matrix and a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.similar.case_index import Case, CaseIndex
from dermafed.client.clinic.similar.case_space import CaseSpace
from dermafed.shared.training.exact_head.head_sums import HeadSums

COUNT = 5


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A similar case.

    Attributes:
        case: of the clinic.
        distance: in the case space, 0 or more; it has no unit, and no threshold.
    """

    case: Case
    distance: float

    def to_dict(self) -> dict[str, str | float]:
        """The answer of the command and of the API; paths stay out."""
        case = self.case
        confirmed = {"diagnosis": case.diagnosis, "confirmed_by": case.confirmed_by}
        return {"id": case.id, **confirmed, "distance": round(self.distance, 4)}


class NearestCases:
    """The cases of an index, ready to be searched."""

    def __init__(self, index: CaseIndex, classes: Sequence[str]) -> None:
        """Fit the space to the cases.

        Args:
            index: with one case or more.
            classes: of the model, C names.
        """
        labels = np.array([classes.index(case.diagnosis) for case in index.cases], np.int64)
        self._cases = index.cases
        self._space = CaseSpace.fit(HeadSums.of(index.features, labels, np.ones(len(classes))))
        self._points = self._space.points(index.features)
        self._squares = np.einsum("nk,nk->n", self._points, self._points)

    def find(
        self, features: NDArray[np.float32], *, without: Sequence[str] = (), count: int = COUNT
    ) -> list[Neighbour]:
        """The nearest cases, each of another lesion, the nearest first.

        Args:
            features: of an image, float32 (K,).
            without: ids, lesions or SHA-256 of images that are the same lesion; it is left out.
            count: how many at most.
        """
        point = self._space.points(features[None])[0]
        squares = np.maximum(self._squares - 2 * (self._points @ point) + point @ point, 0)
        same = set(without)
        same |= {case.lesion for case in self._cases if same & {case.id, case.lesion, case.sha256}}
        found: list[Neighbour] = []
        for at in np.argsort(squares, kind="stable"):
            case = self._cases[at]
            if case.lesion not in same:
                same.add(case.lesion)
                found.append(Neighbour(case, float(np.sqrt(squares[at]))))
            if len(found) == count:
                break
        return found
