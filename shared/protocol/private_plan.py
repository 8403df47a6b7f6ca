"""What goes with differential privacy in a plan and what contradicts it, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.model.model_settings import Architecture
from dermafed.shared.privacy.planned_noise import PlannedNoise, planned_noise
from dermafed.shared.privacy.privacy_settings import DifferentialPrivacy, Privacy
from dermafed.shared.training.recipe import Recipe

if TYPE_CHECKING:
    from dermafed.shared.protocol.plan import RunKeys

PRIVATE_SENT = (
    "the last layer, trained with noise by which each patient has the plan's epsilon; the other weights as "
    "they were received",
    "with noise: the number of training patients of each class, and from them the weight in the mean",
    "with noise: the confusion matrix of the validation patients; no loss and no histogram",
    "without noise: seconds of work, which grow with the number of images",
    "the signed head of this clinic's ledger of privacy: how many releases it counts, and their digests",
    "versions of packages, and of an error no more than its type",
)
"""What a clinic sends in a run with differential privacy, in place of
:data:`dermafed.shared.protocol.messages.SENT`."""

PRIVATE_DEFAULTS = {"batch_norm": "frozen", "calibrate": False}
"""Defaults of a plan with differential privacy."""


def asked_dp(privacy: Privacy | None) -> DifferentialPrivacy | None:
    """The differential privacy that is asked for, if any."""
    return None if privacy is None else privacy.dp


def wants_dp(given: Mapping[str, Any]) -> bool:
    """Whether a plan's keys ask for differential privacy; they may be impossible otherwise."""
    privacy = given.get("privacy")
    if isinstance(privacy, Mapping):
        return bool(privacy.get("dp"))
    return isinstance(privacy, Privacy) and privacy.dp is not None


def noise_of(dp: DifferentialPrivacy, recipe: Recipe, rounds: int) -> PlannedNoise:
    """The noise of a plan's releases.

    Raises:
        SettingsError: no noise is enough.
    """
    in_epoch = dp.steps_in_epoch
    steps = sum(len(recipe.steps_of_round(round, in_epoch)) for round in range(1, rounds + 1))
    return planned_noise(dp.epsilon, dp.delta, dp.rate, steps=steps, rounds=rounds)


def refuse_contradictions(model: Architecture, recipe: Recipe, run: RunKeys, *, calibrate: bool) -> None:
    """Refuse what would tell more of patients than the epsilon of a plan says.

    Args:
        model: the architecture.
        recipe: the local training.
        run: the other keys, with ``privacy``.
        calibrate: whether the last model is calibrated.

    Raises:
        SettingsError: names the key that does not go with ``privacy.dp``.
    """
    if asked_dp(run.privacy) is None:
        return
    for key, why, remedy in _contradictions(model, recipe, run, calibrate):
        raise SettingsError(f"{key} does not go with privacy.dp: {why}", where=key, remedy=remedy)


def _contradictions(
    model: Architecture, recipe: Recipe, run: RunKeys, calibrate: bool
) -> Iterator[tuple[str, str, str]]:
    """Key, reason and remedy of each contradiction."""
    if model.batch_norm != "frozen":
        why = "the statistics of batch normalisation come from images without noise"
        yield "batch_norm", why, 'Set batch_norm = "frozen"'
    if run.strategy in ("exact-head", "fedprox"):
        why = (
            "its sums have no noise" if run.strategy == "exact-head" else "the private step has no such term"
        )
        yield "strategy", why, "Use fedavg, fedavgm, fedadam, fedyogi or fedadagrad"
    off = {
        "refit": (run.refit != "none", 'refit = "none"'),
        "calibrate": (calibrate, "calibrate = false"),
        "explain": (run.explain, "explain = false"),
        "lesion_finder": (run.lesion_finder, "lesion_finder = false"),
    }
    for key, (asked, remedy) in off.items():
        if asked:
            yield key, "its sums over images leave without noise", f"Set {remedy}"
    if run.own_layer:
        why = "what comes of it, a calibration by images without noise, is shared with the others"
        yield "own_layer", why, "Set own_layer = false"
    for key, is_set, why in (
        ("mask_absent", recipe.mask_absent, "it shows which classes a clinic lacks"),
        ("group_balance", recipe.group_balance != "none", "a patient's weight depends on other patients"),
        ("focus", recipe.focus > 0, "the clipped gradient is that of the cross-entropy"),
        ("views", recipe.views > 0, "features are those of the images as they are"),
    ):
        if is_set:
            yield key, why, f"Leave {key} out"
