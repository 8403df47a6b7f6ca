"""The arms of a run: the federation, and the two baselines that it is compared with.

Each arm is a federation: of all clinics, of one clinic alone, or of one clinic with the images of all. So
recipe and budget are the same by construction.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.protocol.plan import EXACT_HEAD, Plan, Refit
from dermafed.shared.protocol.privacy_settings import PLAIN, PrivacySettings
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.runs.attack_settings import Attack

FEDERATED, TUNED, POOLED, LOCAL = "federated", "tuned", "pooled", "local:"
PREDICTIONS_FILE = "test.npz"
VALIDATION_FILE = "validation.npz"
OFFSETS_FILE, OFFSETS_VALIDATION_FILE = "test-offsets.npz", "validation-offsets.npz"
"""With a scale and offsets."""
NO_PRIOR_FILE, NO_PRIOR_VALIDATION_FILE = "test-without-prior.npz", "validation-without-prior.npz"
"""With a scale and offsets, as if all classes were equally frequent."""

FOUND_FILE = "found-lesions.json"
"""How well the lesion finder does on the test images, of :mod:`dermafed.simulation.runs.found_lesions`."""

BACKDOOR_FILE = "backdoor.json"
"""What the model makes of patched test images, of :mod:`dermafed.simulation.runs.backdoor`."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One federation to train, and the clinics to test it on.

    Attributes:
        name: ``federated``, ``pooled`` or ``local:CLINIC``.
        folder: the folder of its states, history and test predictions.
        members: split folders of the clinics that train.
        tests: split folders of the clinics whose test images it is tested on.
        plan: the model, the preprocessing and the recipe.
        strategy: name of the server's strategy.
        engine: ``local`` or ``ray``.
        weights: the origin of the initial weights.
        tune: passes of each clinic's own training after the last round, whose model is tested too; 0: none.
        model: path of the final model, with the facts saved in it; ``None``: it is not saved.
        explain: whether the clinics measure explanations of the final model.
        refit: whether the last layer is trained anew after the last round, and how.
        own_layer: whether each clinic then fits its own last layer; that model is tested too.
        lesion_finder: whether the clinics fit a lesion finder to the final model.
        audit_model: whether the clinics audit the final model for shortcuts.
        robust: the rule against hostile clinics.
        attack: what one of the members does, which is hostile; ``None``: all are honest.
        privacy: what the server learns of each clinic; of baselines, whose clinic is alone, all. What it
            learns of each patient is in the plan, and the same for all arms.
        bits: in which changes of weights travel; of baselines, whose clinic is alone, in full.
        address: of the Ray cluster; ``None``: this machine alone.
    """

    name: str
    folder: Path
    members: tuple[Path, ...]
    tests: tuple[Path, ...]
    plan: Plan
    strategy: str
    engine: str
    weights: str
    tune: float = 0.0
    model: tuple[Path, ModelInfo] | None = None
    explain: bool = False
    refit: Refit = "none"
    own_layer: bool = False
    lesion_finder: bool = False
    audit_model: bool = False
    robust: RobustSettings = NO_RULE
    attack: Attack | None = None
    privacy: PrivacySettings = PLAIN
    bits: int | None = None
    address: str | None = None

    @property
    def tuned(self) -> bool:
        """Whether each clinic also has a model of its own, from the federation's."""
        return self.tune > 0 or self.own_layer

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: its predictions come last, and its model was not removed."""
        saved = self.model is None or self.model[0].exists()
        return saved and (self.folder / PREDICTIONS_FILE).exists()

    @property
    def tuned_predictions(self) -> Path:
        """The file of the predictions of the clinics' tuned models."""
        return self.folder.parent / TUNED / PREDICTIONS_FILE

    def state_folder(self, clinic: Path) -> Path:
        """The folder of a clinic's private state, by its split folder."""
        return self.folder / "clinics" / clinic.name


def make_arms(federated: Arm, pooled: Path | None) -> list[Arm]:
    """The federated arm and, with the split folder of the pooled images, the baselines.

    In order of their size: the longest start first, so that two processes end together.
    """
    if pooled is None:
        return [federated]
    members = {POOLED: pooled} | {f"{LOCAL}{clinic.name}": clinic for clinic in federated.members}
    return [federated, *(_baseline(federated, name, member) for name, member in members.items())]


def first_curve_soon(arms: Sequence[Arm]) -> list[Arm]:
    """The arms in the order of their start: the clinic with the fewest images first, which is soon done.

    So a user sees a curve soon, and what the clinic computes of its images the federation does not again.
    """
    alone = [arm for arm in arms if arm.name.startswith(LOCAL)]
    first = min(alone, key=_training_images, default=None)
    return [arm for arm in arms if arm is first] + [arm for arm in arms if arm is not first]


def _training_images(arm: Arm) -> int:
    return sum(len(read_clinic_split(member).splits.train) for member in arm.members)


def _baseline(federated: Arm, name: str, member: Path) -> Arm:
    folder = federated.folder.parent / name.replace(":", "-")
    # Of one clinic, all means are the same; the exact head is another training.
    strategy = EXACT_HEAD if federated.strategy == EXACT_HEAD else "fedavg"
    tests, plan, weights = federated.tests, federated.plan, federated.weights
    # Nobody else teaches it that its images are of no class that it lacks.
    plan = replace(plan, recipe=replace(plan.recipe, mask_absent=False), dp=_of_one_clinic(plan.dp))
    return Arm(name, folder, (member,), tests, plan, strategy, "local", weights, refit=federated.refit)


def _of_one_clinic(dp: DifferentialPrivacy | None) -> DifferentialPrivacy | None:
    """Who is alone adds all of the noise."""
    return None if dp is None else replace(dp, place="clinic")


def run_arm(arm: Arm) -> None:
    """Trains and tests an arm; for a process of its own."""
    # Imported here, so that the waiting process never loads TensorFlow.
    from dermafed.simulation.runs.train_arm import train_and_test

    train_and_test(arm)


def load_training() -> None:
    """What :func:`run_arm` imports, which takes seconds; for a process that will train arms."""
    import dermafed.simulation.runs.train_arm  # noqa: F401


def load_predictions(arm: Arm) -> dict[str, NDArray[np.float32]]:
    """An arm's probabilities (N, C) on each clinic's test images, by the name of its split folder."""
    return read_predictions(arm.folder / PREDICTIONS_FILE, [clinic.name for clinic in arm.tests])


def load_more_predictions(arm: Arm, file: str) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The same of another of an arm's files, by the name of the arm or ``tuned``.

    Only what was predicted so: version 0.1.0 wrote ``test.npz`` alone.

    Args:
        arm: a trained arm.
        file: its name, one of those above.
    """
    files = {arm.name: arm.folder / file}
    if arm.tuned:
        files[TUNED] = arm.tuned_predictions.with_name(file)
    clinics = [clinic.name for clinic in arm.tests]
    return {name: read_predictions(path, clinics) for name, path in files.items() if path.exists()}


def load_tuned_predictions(arm: Arm) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The same of the clinics' tuned models, under the name ``tuned``; empty where none were tuned."""
    clinics = [clinic.name for clinic in arm.tests]
    return {TUNED: read_predictions(arm.tuned_predictions, clinics)} if arm.tuned else {}


def load_found_lesions(arm: Arm) -> dict[str, Any]:
    """How well the arm's lesion finder does, and which clinics it comes from."""
    content: dict[str, Any] = json.loads((arm.folder / FOUND_FILE).read_text("utf-8"))
    return content


def load_backdoor(arm: Arm) -> dict[str, Any]:
    """What the arm's model makes of patched test images, if a hostile clinic taught it a patch."""
    content: dict[str, Any] = json.loads((arm.folder / BACKDOOR_FILE).read_text("utf-8"))
    return content


def read_predictions(path: Path, clinics: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """The probabilities (N, C) of :func:`save_predictions`, by the clinics' names in their order."""
    with np.load(path) as file:
        return {clinic: file[str(number)] for number, clinic in enumerate(clinics)}


def save_predictions(path: Path, predictions: Iterable[NDArray[np.float32]]) -> None:
    """Writes the probabilities (N, C) on each clinic's test images, in the clinics' order."""
    content = io.BytesIO()
    named: Any = {str(number): own for number, own in enumerate(predictions)}
    np.savez(content, **named)
    write_atomically(path, content.getvalue())
