"""Rounds that are one private step each: a secure sum of clipped gradients with noise, and the server's step.

DP-SGD (Abadi et al. 2016, arXiv:1607.00133, algorithm 1), whose noise is of several parties (Kairouz, Liu and
Steinke 2021, arXiv:2102.06387). Whatever becomes of the sum afterwards, momentum too, costs no epsilon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from flwr.serverapp import Grid
from numpy.typing import NDArray

from dermafed.server.rounds.checkpoint import RunState
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.exchange import Participation
from dermafed.server.rounds.opened_sums import Asked
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.summed_rounds import impossible
from dermafed.server.rounds.trained_models import Trained
from dermafed.shared.protocol.messages import decode_instruction, encode_instruction
from dermafed.shared.protocol.private_plan import PrivatePlan
from dermafed.shared.protocol.summed import Summing, digest_of
from dermafed.shared.training.recipe import Recipe


@dataclass(frozen=True)
class PrivateSteps:
    """How a gradient that the clinics sum up becomes a step of the last layer.

    Attributes:
        layer: weights of the last layer, which are the last of the model's.
        rate: share of the patients that a step draws.
        recipe: the learning rate and its schedule.
        rounds: number of steps.
    """

    layer: int
    rate: float
    recipe: Recipe
    rounds: int

    @classmethod
    def of(cls, plan: PrivatePlan, features: int) -> Self | None:
        """Those of a plan whose last layer reads so many features; ``None`` if it has none."""
        if plan.dp is None or not plan.dp.in_sums:
            return None
        return cls((features + 1) * len(plan.model.classes), plan.dp.rate, plan.recipe, plan.rounds)

    def train(
        self, grid: Grid, state: RunState, sums: SecureSums, number: int
    ) -> tuple[Trained, Participation]:
        """The model after a round's step, before the strategy's.

        The sum is divided by the number of patients that a step draws on average, by the noisy counts.

        Args:
            grid: Flower's connection to the clinics.
            state: what the step starts from.
            sums: the run's secure sums.
            number: the round.

        Raises:
            SumLostError: the sum can never be opened, or is none of patients' gradients.
            FederationError: it was not opened, but may be when the run goes on.
        """
        content = encode_instruction(state.weights, number, {})
        digest = digest_of(decode_instruction(content))
        opened = sums.open(grid, Asked("train", number, digest, self.layer, content=content))
        _check_possible(opened.sums["gradient"], sums.summing)
        drawn = self.rate * sums.summing.images
        rate = self.recipe.learning_rate_at((number - 0.5) / self.rounds)
        moved = state.weights.astype(np.float64)
        moved[-self.layer :] -= rate / drawn * opened.sums["gradient"]
        clinics = {name: ClinicRound(name) for name in opened.participation.replied}
        return Trained(moved, math.nan, clinics), opened.participation


def _check_possible(gradient: NDArray[np.float64], summing: Summing) -> None:
    """Refuse a sum beyond all patients' gradients, of one direction, and as much again for noise.

    Raises:
        SumLostError: a clinic sent what it liked: of random numbers, a quarter is beyond.
    """
    assert summing.privacy.dp is not None
    most = _ROOM / summing.gradient_grid * summing.privacy.dp.clip
    if (found := float(np.abs(gradient).max(initial=0.0))) > most:
        raise impossible("gradient", f"a slope of {found:.3g} is more than all patients have, {most:.3g}")


_ROOM = 1.5 * 2**30  # steps of the grid; it wraps around at 2^31
