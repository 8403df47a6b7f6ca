"""What each clinic of an arm does, by its partition; pickled to wherever the engine works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from flwr.app import Context
from flwr.clientapp import ClientApp

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.clinic_audit import ClinicAudit
from dermafed.client.node.clinic_finder import ClinicFinder
from dermafed.client.node.clinic_sums import ClinicSums
from dermafed.client.node.clinic_trainer import build_clinic_trainer, build_private_trainer
from dermafed.client.node.explanation_quality import (
    ClinicExplanationQuality,
    build_explanation_quality,
    score_cam,
)
from dermafed.client.node.privacy_account import SimulatedAccount
from dermafed.client.node.private_run import PrivateRun
from dermafed.client.node.trainer_cache import TrainerCache
from dermafed.shared.training.frozen_views import saved_features
from dermafed.shared.training.trainer import Trainer
from dermafed.simulation.runs.arms import Arm
from dermafed.simulation.runs.hostile_trainer import hostile_trainer


@dataclass(frozen=True)
class ClinicTrainers:
    """Builds the trainer of a context's partition."""

    arm: Arm

    def __call__(self, context: Context) -> Trainer:
        """The trainer of the context's clinic."""
        clinic, attack, plan = _clinic(self.arm, context), self.arm.attack, self.arm.plan
        state = self.arm.state_folder(clinic)
        if plan.dp is not None:
            private = PrivateRun.of(plan, SimulatedAccount(), state)
            return build_private_trainer(clinic, plan, private, saved_features)
        trainer = build_clinic_trainer(clinic, plan, state)
        if attack is not None and unquote(clinic.name) == attack.clinic:
            return hostile_trainer(attack, trainer, plan, len(self.arm.members))
        return trainer


@dataclass(frozen=True)
class ClinicQualities:
    """Builds the measure of explanations, by Score-CAM, at the clinic of a context's partition."""

    arm: Arm

    def __call__(self, context: Context) -> ClinicExplanationQuality:
        """The measure of the context's clinic."""
        clinic = _clinic(self.arm, context)
        return build_explanation_quality(clinic, self.arm.plan, self.arm.state_folder(clinic), score_cam)


@dataclass(frozen=True)
class ClinicFinders:
    """Builds a clinic's part in the lesion finder, which is saved with the run's model, at no clinic."""

    arm: Arm

    def __call__(self, context: Context) -> ClinicFinder:
        """The part of the context's clinic."""
        return ClinicFinder(_clinic(self.arm, context), self.arm.plan, lambda finder: None)


@dataclass(frozen=True)
class ClinicAudits:
    """Builds the audit for shortcuts at the clinic of a context's partition."""

    arm: Arm

    def __call__(self, context: Context) -> ClinicAudit:
        """The audit of the context's clinic."""
        clinic = _clinic(self.arm, context)
        return ClinicAudit(clinic, self.arm.plan, self.arm.state_folder(clinic))


def clinics_app(arm: Arm, trainers: TrainerCache, sums: ClinicSums | None = None) -> ClientApp:
    """The app of every clinic of an arm, which the engine ``ray`` sends to its workers with each message.

    Args:
        arm: the arm.
        trainers: of :class:`ClinicTrainers`.
        sums: the clinics' part in secure sums.
    """
    return build_client_app(
        trainers,
        ClinicQualities(arm),
        finder_for=ClinicFinders(arm),
        audit_for=ClinicAudits(arm),
        sums=sums,
    )


def _clinic(arm: Arm, context: Context) -> Path:
    return arm.members[int(context.node_config["partition-id"])]
