"""The rules of a run's rounds: what cannot be, and what a share of the clinics comes to."""

from __future__ import annotations

import pytest

from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.errors import SettingsError


def test_a_patience_of_0_is_refused() -> None:
    with pytest.raises(SettingsError, match="patience is 0"):
        RoundRules(3, 3, patience=0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"quorum": 0}, "quorum is 0"),
        ({"quorum": 4}, "1 to 3 clinics"),
        ({"quorum": 1.5}, "share"),
        ({"deadline": 0}, "deadline is 0"),
        ({"attempts": 0}, "attempts is 0"),
    ],
)
def test_impossible_rules_are_refused(rules: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        RoundRules(rounds=1, clinics=3, **rules)  # type: ignore[arg-type]


def test_quorum_as_a_share_rounds_up() -> None:
    assert RoundRules(1, 3, quorum=0.5).needed == 2
    assert RoundRules(1, 10, quorum=0.7).needed == 7
    assert RoundRules(1, 3, quorum=1.0).needed == 3
    assert RoundRules(1, 3, quorum=1).needed == 1
