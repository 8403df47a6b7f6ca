"""What becomes of the clinics' replies: each is checked and folded in, none is kept."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol, TypeVar

from flwr.app import RecordDict

from dermafed.server.rounds.aggregate import StreamingMean, check_update
from dermafed.server.strategies.strategy import Means
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import decode_evaluation, decode_update

Outcome = TypeVar("Outcome", covariant=True)


class Collector(Protocol[Outcome]):
    """Folds the replies to one message together."""

    def accept(self, content: RecordDict) -> float:
        """Take in one reply.

        Returns:
            The clinic's seconds of work, as it says.

        Raises:
            FederationError: the reply is refused; nothing of it was taken in.
        """
        ...

    def result(self) -> Outcome:
        """What the accepted replies, one at least, make together."""
        ...


class TrainedModels:
    """The mean of trained models (P,) and of their training losses, weighted alike."""

    def __init__(self, parameters: int, most_images: int) -> None:
        self._parameters = parameters
        self._most_images = most_images
        self._mean = StreamingMean(parameters)
        self._losses: list[float] = []

    def accept(self, content: RecordDict) -> float:
        """Take in an update; see :class:`Collector`."""
        update, seconds = decode_update(content, self._parameters)
        check_update(update, self._most_images)
        self._mean.add(update.weights, update.weight)
        self._losses.append(update.weight * update.metrics.get("loss", math.nan))
        return seconds

    def result(self) -> tuple[Means, float]:
        """The mean model and the mean loss."""
        # fsum is exact, so the order of arrival leaves no trace; the mean model's is as good as exact.
        return self._mean.result(), math.fsum(self._losses) / self._mean.weight


class Evaluations:
    """The sum of the clinics' evaluations."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._sum: ClinicEvaluation | None = None
        self._losses: list[float] = []

    def accept(self, content: RecordDict) -> float:
        """Take in an evaluation; see :class:`Collector`."""
        evaluation, seconds = decode_evaluation(content, self._classes)
        evaluation.validate(self._classes)
        self._sum = evaluation if self._sum is None else self._sum + evaluation
        self._losses.append(evaluation.loss_sum)
        return seconds

    def result(self) -> ClinicEvaluation:
        """The evaluation of all clinics' images together."""
        if self._sum is None:
            raise FederationError("No clinic has evaluated the model")
        return replace(self._sum, loss_sum=math.fsum(self._losses))
