from __future__ import annotations

from dermafed.server.rounds.planned_strategy import planned_strategy
from dermafed.server.rounds.strategies import ExactHead, FedProx
from dermafed.shared.training.recipe import Recipe


def test_the_ridge_is_the_plans() -> None:
    assert planned_strategy("exact-head", Recipe(ridge=0.3)) == ExactHead(ridge=0.3)
    assert planned_strategy("fedprox", Recipe(ridge=0.3)) == FedProx()
