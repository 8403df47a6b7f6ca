"""Strategies by name.

Flower's own classes average all replies of a round at once; these take the mean that was streamed, and are
tested to give what Flower's give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dermafed.server.strategies.fedadagrad import FedAdagrad
from dermafed.server.strategies.fedadam import FedAdam
from dermafed.server.strategies.fedavg import FedAvg
from dermafed.server.strategies.fedavgm import FedAvgM
from dermafed.server.strategies.fedprox import FedProx
from dermafed.server.strategies.fedyogi import FedYogi
from dermafed.server.strategies.strategy import Strategy
from dermafed.shared.errors import SettingsError

__all__ = ["STRATEGIES", "Strategy", "describe_strategy", "make_strategy"]

STRATEGIES: dict[str, type[FedAvg]] = {
    kind.__name__.lower(): kind for kind in (FedAvg, FedProx, FedAvgM, FedAdam, FedYogi, FedAdagrad)
}

# Option: (smallest value, largest, whether these two are allowed themselves).
_RANGES = {
    "proximal_mu": (0.0, math.inf, True),
    "learning_rate": (0.0, math.inf, False),
    "tau": (0.0, math.inf, False),
    "momentum": (0.0, 1.0, True),
    "beta_1": (0.0, 1.0, True),
    "beta_2": (0.0, 1.0, True),
}


def make_strategy(name: str, options: Mapping[str, float] | None = None) -> FedAvg:
    """The strategy of a name, with its options.

    Args:
        name: a key of :data:`STRATEGIES`.
        options: field values of the strategy's class; the others keep their defaults.

    Raises:
        SettingsError: an unknown name or option, or a value out of range.
    """
    if name not in STRATEGIES:
        raise SettingsError(f"Unknown strategy '{name}'", remedy=f"Choose one of {', '.join(STRATEGIES)}")
    kind = STRATEGIES[name]
    known = [field.name for field in fields(kind)]
    for option, value in (options or {}).items():
        if option not in known:
            remedy = f"Its options are {', '.join(known)}" if known else "It has no options"
            raise SettingsError(f"The strategy '{name}' has no option '{option}'", remedy=remedy)
        _check_range(option, value)
    return kind(**dict(options or {}))


def describe_strategy(strategy: Strategy) -> dict[str, Any]:
    """The strategy's name and options, for the record of a run."""
    return {"strategy": type(strategy).__name__.lower(), **asdict(strategy)}  # type: ignore[call-overload]


def _check_range(option: str, value: float) -> None:
    low, high, closed = _RANGES[option]
    inside = low <= value < high if closed else low < value < high
    if not inside:
        bracket = "[" if closed else "("
        raise SettingsError(
            f"The strategy's {option} is {value:g}", remedy=f"Choose a value in {bracket}{low:g}, {high:g})"
        )
