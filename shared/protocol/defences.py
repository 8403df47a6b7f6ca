"""What goes with the defences of a plan and what contradicts them, each with the reason: all in one place.

==================  ======================================================================================
defence             what it leaves no room for
==================  ======================================================================================
``robust.rule``     sums that no rule combines; with secure aggregation, sums over groups of clinics are
                    combined, of which there must be enough (:func:`..secure_sum.thresholds.least_cohort`)
secure aggregation  whatever needs, or shows, a single clinic's values
``privacy.dp``      whatever tells of patients without noise; with ``place = "sum"``, local steps
==================  ======================================================================================

A rule goes with differential privacy: what it makes of updates that have their noise costs no epsilon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import RobustSettings
from dermafed.shared.secure_sum.thresholds import MOST_ATTEMPTS


class _Excluded(NamedTuple):
    """A key that does not go with a defence.

    Attributes:
        clashes: whether its value is one that does not.
        why: why not.
        instead: its value in such a plan, as TOML; empty: it is left out.
    """

    clashes: Callable[[Any], bool]
    why: str
    instead: str = ""


def _is(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


def _is_not(value: str) -> Callable[[Any], bool]:
    return lambda other: bool(other != value)


_BY_FINDER = "needs a lesion finder, which needs each clinic's own sums"
_SUMS_COMPARED = "it compares each clinic's sums of features, which the server would see"
_NO_NOISE = "its sums over images leave without noise"

_WITH_A_RULE = {
    "strategy": _Excluded(_is("exact-head"), "its clinics send sums, and a sum has no median", '"fedavg"'),
    "refit": _Excluded(
        _is_not("none"), "the last layer is then fitted to sums, of which a liar's are a part", '"none"'
    ),
    "mask_absent": _Excluded(
        bool, "the last layer is then a mean over the clinics that have a class", "false"
    ),
}

_IN_SUMS = {
    "strategy": _Excluded(_is("exact-head"), _SUMS_COMPARED, '"fedavg"'),
    "features": _Excluded(_is("lesion"), f"it {_BY_FINDER}", '"blocks"'),
    "refit": _Excluded(_is_not("none"), _SUMS_COMPARED, '"none"'),
    "calibrate": _Excluded(bool, "it asks each clinic for its own sums of validation images", "false"),
    "own_layer": _Excluded(
        bool, "it needs the calibration, which asks each clinic for its own sums", "false"
    ),
    "explain": _Excluded(bool, "it asks each clinic for its own figures", "false"),
    "lesion_finder": _Excluded(bool, "it compares each clinic's sums of features", "false"),
    "audit_model": _Excluded(
        bool, "it asks each clinic for its own counts of answers that artefacts change", "false"
    ),
    "mask_absent": _Excluded(bool, "it tells the server which clinic has which class", "false"),
    "balance": _Excluded(
        _is("global"),
        "it lets the server set how much an image of a class weighs, by a count that no clinic can check",
        '"logits"',
    ),
    "attempts": _Excluded(
        lambda value: value > MOST_ATTEMPTS,
        f"it repeats a sum more often than the {MOST_ATTEMPTS} times that a clinic takes part in",
        str(MOST_ATTEMPTS),
    ),
    "engine": _Excluded(_is("ray"), "it forgets a clinic's keys between messages", '"local"'),
}

_IN_GROUPS = {"bits": _Excluded(bool, "all clinics need one step, which follows from a sum over all of them")}

_WITH_NOISE = {
    "batch_norm": _Excluded(
        _is_not("frozen"),
        "the statistics of batch normalisation come from images without noise",
        '"frozen"',
    ),
    "split": _Excluded(
        _is("even"), "one patient more of the rarest class adds images of every class", '"drawn"'
    ),
    "features": _Excluded(_is("lesion"), f"it {_BY_FINDER} without noise", '"blocks"'),
    "refit": _Excluded(_is_not("none"), _NO_NOISE, '"none"'),
    "calibrate": _Excluded(bool, _NO_NOISE, "false"),
    "explain": _Excluded(bool, _NO_NOISE, "false"),
    "lesion_finder": _Excluded(bool, _NO_NOISE, "false"),
    "audit_model": _Excluded(
        bool, "its counts of test images, which are patients' too, leave without noise", "false"
    ),
    "own_layer": _Excluded(
        bool,
        "what comes of it, a calibration by images without noise, is shared with the others",
        "false",
    ),
    "mask_absent": _Excluded(bool, "it shows which classes a clinic lacks", "false"),
    "group_balance": _Excluded(_is_not("none"), "a patient's weight depends on other patients", '"none"'),
    "focus": _Excluded(bool, "the clipped gradient is that of the cross-entropy", "0"),
    "guidance": _Excluded(bool, "the clipped gradient is that of the cross-entropy", "0"),
    "views": _Excluded(bool, "features are those of the images as they are", "0"),
    "artefacts": _Excluded(bool, "features are those of the images as they are", "0"),
    "attack": _Excluded(bool, "no hostile clinic is simulated that trains with noise"),
    "bits": _Excluded(bool, "the last layer alone travels then, and is small: rounding it spares nothing"),
}

_IN_STEPS = {
    "optimizer": _Excluded(_is_not("sgd"), "a step is the server's, by the sum of gradients", '"sgd"'),
    "momentum": _Excluded(bool, "a step is the server's: with the strategy fedavgm it has momentum", "0"),
}

_OF_THE_STEP = {
    "exact-head": "its sums have no noise",
    "fedprox": "the private step has no such term",
}

_ON_ONE_CLINIC = {
    "largest_share": "caps the weight of single clinics",
    "largest_step": "shortens the steps of single clinics",
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "robust": {"refit": "none"},
    "secure": {"calibrate": False, "refit": "none", "own_layer": False},
    "dp": {"batch_norm": "frozen", "calibrate": False, "views": 0, "refit": "none", "own_layer": False},
    "steps": {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 2.0},
}
"""Those keys of a plan with a defence whose default would clash, or would be of no use."""


def check_defences(robust: RobustSettings, privacy: PrivacySettings, keys: Mapping[str, Any]) -> None:
    """Refuse defences that contradict each other, and keys that contradict a defence.

    Args:
        robust: the rule against hostile clinics.
        privacy: what the server learns of clinics and of patients.
        keys: the other keys by name, whatever their section; those that are missing are not checked.

    Raises:
        SettingsError: names the first such key, and why.
    """
    if privacy.is_secure:
        _check_noise_in_sums(robust, privacy)
        _refuse(keys, _IN_SUMS, "secure aggregation")
    if robust.active:
        _refuse(keys, _WITH_A_RULE, f"the robust rule {robust.rule}")
    if robust.active and privacy.is_secure:
        _refuse(keys, _IN_GROUPS, "secure aggregation and a robust rule together")
    if privacy.dp is not None:
        if privacy.dp.in_sums:
            _check_within_sums(privacy, keys)
        strategy = keys.get("strategy")
        of_the_step = _Excluded(_is(*_OF_THE_STEP), _OF_THE_STEP.get(str(strategy), ""), '"fedavg"')
        _refuse(keys, _WITH_NOISE | {"strategy": of_the_step}, "privacy.dp")


def check_rules(privacy: PrivacySettings, given: Mapping[str, Any]) -> None:
    """Refuse rules of rounds that secure sums cannot follow, where a plan gives them.

    Raises:
        SettingsError: names the first such rule, and why.
    """
    if not privacy.is_secure:
        return
    _refuse(given, _IN_SUMS, "secure aggregation")
    for name in _ON_ONE_CLINIC.keys() & given.keys():
        raise SettingsError(
            f"{name} {_ON_ONE_CLINIC[name]}, which the server does not see in secure aggregation",
            where=name,
            remedy="Leave it out, or train without secure aggregation",
        )


def defaults_with_defences(given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of those keys whose own would contradict a defence that is asked for.

    Args:
        given: the keys that are given, whatever their section; they may be impossible.
    """
    dp = given.get("dp")
    place = dp.get("place") if isinstance(dp, Mapping) else getattr(dp, "place", None)
    asked = {
        "robust": given.get("rule", "none") != "none",
        "secure": given.get("aggregation") == "secure",
        "dp": dp is not None,
        "steps": place == "sum",
    }
    return {name: value for of, own in _DEFAULTS.items() if asked[of] for name, value in own.items()}


def _check_noise_in_sums(robust: RobustSettings, privacy: PrivacySettings) -> None:
    """Refuse differential privacy beside secure sums."""
    if privacy.dp is not None and robust.active:
        raise SettingsError(
            f"privacy.dp does not go with secure aggregation and the robust rule {robust.rule} together: the "
            "sum of a group has the noise of its few clinics only",
            where="privacy.dp",
            remedy="Leave out one of the three",
        )
    if privacy.dp is not None and not privacy.dp.in_sums:
        raise SettingsError(
            'dp with place = "clinic" does not go with secure aggregation: with all of the noise at each '
            "clinic, sums would protect no patient further",
            where="privacy.dp",
            remedy='Write place = "sum", with a part of the noise at each clinic, or leave out aggregation',
        )


def _check_within_sums(privacy: PrivacySettings, keys: Mapping[str, Any]) -> None:
    """Refuse noise in parts without the sums that add them up, and steps that are not the server's."""
    if not privacy.is_secure:
        raise SettingsError(
            'place = "sum" needs secure aggregation: a clinic adds a part of the noise, which by itself '
            "protects nobody",
            where="privacy.dp",
            remedy='Write aggregation = "secure" beside dp, or place = "clinic"',
        )
    _refuse(keys, _IN_STEPS, 'place = "sum"')


def _refuse(keys: Mapping[str, Any], excluded: Mapping[str, _Excluded], defence: str) -> None:
    for name, one in excluded.items():
        if name in keys and one.clashes(keys[name]):
            raise SettingsError(
                f"{name} = {json.dumps(keys[name])} does not go with {defence}: {one.why}",
                where=name,
                remedy=f"{_remedy(name, one.instead)}, or train without {defence}",
            )


def _remedy(name: str, instead: str) -> str:
    return f"Write {name} = {instead}" if instead else f"Leave {name} out"
