"""The secure sums of an arm, whose clinics are this process: their keys live as long as it does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Context

from dermafed.client.node.clinic_data import count_training_images
from dermafed.client.node.clinic_sums import Summand
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.sum_log import SumLogFile
from dermafed.simulation.runs.arms import Arm


@dataclass(frozen=True)
class ArmSums:
    """What the clinics of an arm and its server have in common in its sums, and each clinic's key.

    Attributes:
        arm: the arm.
        keys: the clinics' private keys, by name.
        summing: the rest.
    """

    arm: Arm
    keys: dict[str, ec.EllipticCurvePrivateKey]
    summing: Summing

    @classmethod
    def of(cls, arm: Arm) -> ArmSums:
        """With new keys."""
        keys = {unquote(clinic.name): ec.generate_private_key(ec.SECP384R1()) for clinic in arm.members}
        names = tuple(sorted(keys))
        roster = Roster(names, tuple(keys[name].public_key() for name in names))
        plan = hashlib.sha256(json.dumps(arm.plan.to_dict(), sort_keys=True).encode()).hexdigest()
        classes, images = len(arm.plan.model.classes), sum(arm.plan.class_counts)
        groups, bits = arm.robust.groups(arm.privacy), arm.bits or 0
        return cls(arm, keys, Summing(plan, roster, arm.privacy, classes, images, groups, bits))

    def summand(self, context: Context) -> Summand:
        """What the clinic of a context's partition takes part with."""
        folder = self.arm.members[int(context.node_config["partition-id"])]
        name, counts = unquote(folder.name), _training_counts(folder, self.arm.plan.model.classes)
        log = SumLogFile(self.arm.state_folder(folder) / "sums.json")
        return Summand(name, self.keys[name], log, self.summing, counts)


@lru_cache(maxsize=1024)
def _training_counts(folder: Path, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Training images of each class in a clinic's split folder, which a run writes once."""
    return tuple(count_training_images(read_clinic_split(folder), classes).tolist())
