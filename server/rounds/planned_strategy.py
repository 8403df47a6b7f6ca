"""The strategy of a plan."""

from __future__ import annotations

from dermafed.server.rounds.strategies import Strategy, make_strategy
from dermafed.shared.protocol.plan import EXACT_HEAD
from dermafed.shared.training.recipe import Recipe


def planned_strategy(name: str, recipe: Recipe) -> Strategy:
    """The strategy of a plan, with the options that are keys of its recipe.

    Raises:
        SettingsError: there is no such strategy.
    """
    return make_strategy(name, {"ridge": recipe.ridge} if name == EXACT_HEAD else None)
