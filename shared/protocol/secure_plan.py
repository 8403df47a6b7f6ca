"""What a plan with secure sums may not ask for: each key that needs, or shows, a single clinic's values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dermafed.shared.errors import SettingsError
from dermafed.shared.secure_sum.terms import MOST_ATTEMPTS

SECURE = {"aggregation": "secure"}

SENT_IN_SUMS = (
    "in secure sums over clinics only: changes of the weights, each times the number of training images, "
    "this number, and the training loss",
    "in secure sums over clinics only: confusion matrix, score histograms, number and loss of the "
    "validation images",
    "in one secure sum, before the first round: the number of training images of each class",
    "by itself: public keys, sealed shares of the masks' keys, and signatures of who is in a sum",
    "by itself: versions of packages, of an error no more than its type, and that it replies, and when",
    "what can be told from two sums, of which one has this clinic and the other not: its number of images "
    "of each class; of nearly the same model, about its part; and from the time of a reply, about its images",
)
"""Everything that a clinic sends where the plan has secure sums, as
:data:`dermafed.shared.protocol.messages.SENT` lists it for other plans."""


class _Excluded(NamedTuple):
    """A key that does not go with secure sums.

    Attributes:
        clashes: whether its value is one that does not.
        why: why not.
        instead: its value in such a plan.
    """

    clashes: Callable[[Any], bool]
    why: str
    instead: str


_SUMS_COMPARED = "compares each clinic's sums of features, which the server would see"
_EXCLUDED = {
    "strategy": _Excluded(lambda value: value == "exact-head", _SUMS_COMPARED, "fedavg"),
    "refit": _Excluded(lambda value: value != "none", _SUMS_COMPARED, "none"),
    "calibrate": _Excluded(bool, "asks each clinic for its own sums of validation images", "false"),
    "own_layer": _Excluded(bool, "needs the calibration, which asks each clinic for its own sums", "false"),
    "explain": _Excluded(bool, "asks each clinic for its own figures", "false"),
    "lesion_finder": _Excluded(bool, "compares each clinic's sums of features", "false"),
    "mask_absent": _Excluded(bool, "tells the server which clinic has which class", "false"),
    "balance": _Excluded(
        lambda value: value == "global",
        "lets the server set how much an image of a class weighs, by a count that no clinic can check",
        "logits",
    ),
    "attempts": _Excluded(
        lambda value: value > MOST_ATTEMPTS,
        f"repeats a sum more often than the {MOST_ATTEMPTS} times that a clinic takes part in",
        str(MOST_ATTEMPTS),
    ),
    "engine": _Excluded(lambda value: value == "ray", "forgets a clinic's keys between messages", "local"),
}

_BY_RULES = {
    "largest_share": "caps the weight of single clinics",
    "largest_step": "shortens the steps of single clinics",
}

DEFAULTS: dict[str, Any] = {"calibrate": False, "refit": "none", "own_layer": False}
"""Those keys of a secure plan whose default would clash."""


def check_secure(keys: Mapping[str, Any]) -> None:
    """Refuse the keys of a secure plan that need, or show, a single clinic's values.

    Args:
        keys: the plan's keys by name, whatever their section; those that are missing are not checked.

    Raises:
        SettingsError: names the first such key, and why.
    """
    for name, excluded in _EXCLUDED.items():
        if name in keys and excluded.clashes(keys[name]):
            raise SettingsError(
                f"{name} = {json.dumps(keys[name])} does not go with secure aggregation: it {excluded.why}",
                where=name,
                remedy=f"Write {name} = {excluded.instead}, or train without secure aggregation",
            )


def check_rules(given: Mapping[str, Any]) -> None:
    """Refuse rules that act on single clinics, where a secure plan gives them.

    Raises:
        SettingsError: names the first such rule, and why.
    """
    for name in _BY_RULES.keys() & given.keys():
        raise SettingsError(
            f"{name} {_BY_RULES[name]}, which the server does not see in secure aggregation",
            where=name,
            remedy="Leave it out, or train without secure aggregation",
        )
