"""The strategies: how the server moves the model towards the mean of the clinics' models.

Flower's own classes average all replies of a round at once; these take the mean that was streamed, and are
tested to give what Flower's give. To add one, write a class here, name it in :data:`STRATEGIES` and in
:data:`dermafed.shared.protocol.plan.StrategyName`, which plans, options and limits read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.plan import EXACT_HEAD
from dermafed.shared.settings import STRICT, Number, Settings
from dermafed.shared.training.trainer import FloatVector

Means = NDArray[np.float64]
State = dict[str, FloatVector]
"""The server optimiser's memory, by name, float32 (P,) each; empty before the first round."""

Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, lt=1)]


class Strategy(Settings):
    """What goes to the trainers beside the model, and the server's step; its fields are its options."""

    def instructions(self) -> dict[str, float]:
        """What goes to every trainer with the model: by default nothing."""
        return {}

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """The server's step; a pure function, so that a resumed run goes the same way. By default the mean.

        Args:
            weights: the global model that the clinics started from, (P,).
            mean: the weighted mean of the models that they trained from it, (P,).
            state: the state that the previous step returned.
            round: the round's number, from 1.

        Returns:
            The new global model (P,) and the new state.
        """
        return mean, state


@dataclass(frozen=True, config=STRICT)
class FedAvg(Strategy):
    """The mean of the clinics' models (McMahan et al. 2017).

    Algorithm 1 of McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized
    Data, https://arxiv.org/abs/1602.05629
    """


@dataclass(frozen=True, config=STRICT)
class FedProx(Strategy):
    """The mean; a proximal term keeps the clinics near the global model (Li et al. 2020).

    Algorithm 2 of Li et al. 2020, Federated Optimization in Heterogeneous Networks,
    https://arxiv.org/abs/1812.06127: the trainer adds (mu / 2) * ||w - w0||**2 to its loss.

    Attributes:
        proximal_mu: mu >= 0; 0 is FedAvg.
    """

    proximal_mu: Annotated[Number, Field(ge=0)] = 0.01

    def instructions(self) -> dict[str, float]:
        """The trainers need mu."""
        return {"proximal_mu": self.proximal_mu}


@dataclass(frozen=True, config=STRICT)
class FedAvgM(Strategy):
    """Momentum on the server (Hsu et al. 2019).

    Section 4.3 of Hsu et al. 2019, Measuring the Effects of Non-Identical Data Distribution for Federated
    Visual Classification, https://arxiv.org/abs/1909.06335: v <- beta v + (mean - w), w <- w + rate v.

    Attributes:
        learning_rate: the server's, > 0.
        momentum: beta in [0, 1).
    """

    learning_rate: Positive = 1.0
    momentum: Share = 0.9

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """Move along the decaying sum of the rounds' changes."""
        velocity = self.momentum * state.get("velocity", np.zeros_like(weights)) + (mean - weights)
        return weights + self.learning_rate * velocity, {"velocity": velocity.astype(np.float32)}


@dataclass(frozen=True, config=STRICT)
class FedOpt(Strategy):
    """The clinics' mean change as the gradient of an adaptive optimiser on the server.

    Algorithm 2 of Reddi et al. 2021, Adaptive Federated Optimization, https://arxiv.org/abs/2003.00295: what
    FedAdagrad, FedAdam and FedYogi share, w <- w + eta m / (sqrt(v) + tau). The second moment starts at 0, as
    in Flower, where the paper starts at tau**2 or above.

    Attributes:
        learning_rate: eta > 0. A weight moves by about this much a round, so it is far below Flower's 0.1,
            which suits models trained from scratch.
        tau: > 0, added to the root of the second moment.
    """

    learning_rate: Positive = 0.01
    tau: Positive = 1e-3

    def step(self, weights: FloatVector, mean: Means, state: State, round: int) -> tuple[Means, State]:
        """w <- w + eta m / (sqrt(v) + tau)."""
        change = mean - weights
        nothing = np.zeros_like(weights)
        first = self.first_moment(state.get("first_moment", nothing), change)
        second = self.second_moment(state.get("second_moment", nothing), np.square(change))
        moved = weights + self.rate(round) * first / (np.sqrt(second) + self.tau)
        memory = {"first_moment": first.astype(np.float32), "second_moment": second.astype(np.float32)}
        return moved, memory

    def rate(self, round: int) -> float:
        """The round's learning rate."""
        return self.learning_rate

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """The new m, from the old one and the mean change."""
        raise NotImplementedError

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """The new v, from the old one and the square of the mean change."""
        raise NotImplementedError


@dataclass(frozen=True, config=STRICT)
class FedAdam(FedOpt):
    """Adam on the server (Reddi et al. 2021).

    m <- beta_1 m + (1 - beta_1) change, v <- beta_2 v + (1 - beta_2) change**2.

    Attributes:
        beta_1: in [0, 1).
        beta_2: in [0, 1).
    """

    beta_1: Share = 0.9
    beta_2: Share = 0.99

    def rate(self, round: int) -> float:
        """Bias-corrected (Kingma and Ba 2015, section 2), counting rounds from 2 as Flower does."""
        return (
            self.learning_rate * math.sqrt(1 - self.beta_2 ** (round + 1)) / (1 - self.beta_1 ** (round + 1))
        )

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """Decaying mean of the changes."""
        return self.beta_1 * moment + (1 - self.beta_1) * change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """Decaying mean of the squares."""
        return self.beta_2 * moment + (1 - self.beta_2) * squared


@dataclass(frozen=True, config=STRICT)
class FedYogi(FedOpt):
    """Yogi on the server (Reddi et al. 2021).

    m as in Adam, v <- v - (1 - beta_2) change**2 sign(v - change**2).

    Attributes:
        beta_1: in [0, 1).
        beta_2: in [0, 1).
    """

    beta_1: Share = 0.9
    beta_2: Share = 0.99

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """Decaying mean of the changes."""
        return self.beta_1 * moment + (1 - self.beta_1) * change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """Towards the square, by a step that does not depend on the distance."""
        return moment - (1 - self.beta_2) * squared * np.sign(moment - squared)


@dataclass(frozen=True, config=STRICT)
class FedAdagrad(FedOpt):
    """Adagrad on the server (Reddi et al. 2021).

    m = change, v <- v + change**2.
    """

    def first_moment(self, moment: FloatVector, change: Means) -> Means:
        """No momentum."""
        return change

    def second_moment(self, moment: FloatVector, squared: Means) -> Means:
        """The sum of all squares."""
        return moment + squared


@dataclass(frozen=True, config=STRICT)
class ExactHead(Strategy):
    """The last layer in closed form, from one sum over the clinics (Fani et al. 2024).

    FED3R, https://arxiv.org/abs/2402.01898: the clinics send sums of the features before the last layer, and
    the server solves for the ridge head of all images (:mod:`dermafed.shared.training.exact_head`). One
    round gives what pooled training gives; further rounds give the same again.

    Attributes:
        ridge: the penalty, above 0, of standardised features.
    """

    ridge: Positive = 0.1


STRATEGIES: dict[str, type[Strategy]] = {
    **{kind.__name__.lower(): kind for kind in (FedAvg, FedProx, FedAvgM, FedAdam, FedYogi, FedAdagrad)},
    EXACT_HEAD: ExactHead,
}


def make_strategy(name: str, options: Mapping[str, float] | None = None) -> Strategy:
    """The strategy of a name, with its options.

    Args:
        name: a key of :data:`STRATEGIES`.
        options: field values of the strategy's class; the others keep their defaults.

    Raises:
        SettingsError: an unknown name or option, or a value out of range.
    """
    if name not in STRATEGIES:
        remedy = f"Use one of {', '.join(STRATEGIES)}"
        raise SettingsError(f"There is no strategy '{name}'", where="strategy", remedy=remedy)
    return STRATEGIES[name](**dict(options or {}))


def describe_strategy(strategy: Strategy) -> dict[str, Any]:
    """The strategy's name and options, for the record of a run."""
    name = next(name for name, kind in STRATEGIES.items() if type(strategy) is kind)
    return {"strategy": name, **strategy.to_dict()}
