"""The ClientApp of a clinic's node: train, explain, calibrate and audit the runs that the clinic approved."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from dermafed.client.node.after_run import AuditOf
from dermafed.client.node.client_app import QualityOf, build_client_app, head_trainer
from dermafed.client.node.clinic_audit import ClinicAudit
from dermafed.client.node.clinic_calibrator import ClinicCalibrator, LastOutputs, check_finite
from dermafed.client.node.clinic_counts import ClinicCounts
from dermafed.client.node.clinic_finder import ClinicFinder, node_finder
from dermafed.client.node.clinic_sums import ClinicSums
from dermafed.client.node.clinic_trainer import build_clinic_trainer, build_private_trainer
from dermafed.client.node.consent import ApprovedRun, ClinicConsent
from dermafed.client.node.count_app import add_counts
from dermafed.client.node.explanation_quality import build_explanation_quality, score_cam
from dermafed.client.node.home import Home
from dermafed.client.node.private_run import private_run
from dermafed.client.node.saved_models import save_last_model
from dermafed.client.node.summed_values import noisy_trainer
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import FloatVector, Trainer, Update


@dataclass(frozen=True)
class SavingTrainer:
    """A trainer that also saves the last global model that it evaluates, for the clinic's own use."""

    home: Home
    run: ApprovedRun
    trainer: Trainer

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """As the trainer does."""
        return self.trainer.train(weights, round, config)

    def head_sums(self, weights: FloatVector, round: int) -> HeadSums:
        """As the trainer does; refuses weights that are not finite.

        Raises:
            FederationError: they are not, or the trainer does not sum up features.
        """
        check_finite(weights)
        return head_trainer(self.trainer).head_sums(weights, round)

    def head_slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        """As the trainer does; refuses weights that are not finite.

        Raises:
            FederationError: they are not, or the trainer does not sum up features.
        """
        check_finite(weights)
        return head_trainer(self.trainer).head_slopes(weights, round, head)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """As the trainer does; saves the weights if they and the evaluation are finite.

        Raises:
            FederationError: they are not; the model of the round before stays.
        """
        check_finite(weights)
        evaluation = self.trainer.evaluate(weights, round)
        if not math.isfinite(evaluation.loss_sum):
            raise FederationError("The model's loss is not a number", where=self.run.offer.name)
        self._save(weights, round)
        return evaluation

    def summed_gradient(
        self, weights: FloatVector, round: int, *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """As the trainer does."""
        return noisy_trainer(self.trainer).summed_gradient(weights, round, sharers=sharers, grid=grid)

    def summed_confusion(
        self, weights: FloatVector, round: int, *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """As the trainer does; saves the weights if they are finite.

        Raises:
            FederationError: they are not; the model of the round before stays.
        """
        check_finite(weights)
        cells = noisy_trainer(self.trainer).summed_confusion(weights, round, sharers=sharers, grid=grid)
        self._save(weights, round)
        return cells

    def _save(self, weights: FloatVector, round: int) -> None:
        save_last_model(self.home.models, self.run.hash, self.run.offer, weights, round)


@dataclass
class CurrentTrainer:
    """The trainer of the current run; that of another run replaces it, since images fill the memory."""

    home: Home
    current: tuple[ApprovedRun, Trainer] | None = None

    def __call__(self, context: Context) -> Trainer:
        """The trainer of a context's run, which the clinic approved."""
        run = ClinicConsent(self.home).approved(context)
        if self.current is None or self.current[0] != run:
            self.current = None
            trainer = self._build(run)
            self.current = run, SavingTrainer(self.home, run, trainer)
        return self.current[1]

    def _build(self, run: ApprovedRun) -> Trainer:
        split, state = run.folder.split, run.folder.state
        if run.offer.dp is not None:
            return build_private_trainer(split, run.plan, private_run(self.home, run.offer, state))
        # Of two plans that differ in name, one without a clinic, the sums would differ by its update.
        seed = secrets.randbits(32) if run.offer.privacy.is_secure else None
        return build_clinic_trainer(split, run.plan, state, seed)


def build_node_app(home: Home) -> tuple[ClientApp, ClinicConsent]:
    """The clinic's app, and its consent to what a server asks."""
    trainer_for = CurrentTrainer(home)
    consent = ClinicConsent(home, warm_up=trainer_for)

    def quality_for(context: Context) -> QualityOf:
        run = consent.approved(context)
        return build_explanation_quality(run.folder.split, run.plan, run.folder.state, score_cam)

    outputs: list[LastOutputs] = []

    def calibrator_for(context: Context) -> ClinicCalibrator:
        return ClinicCalibrator(home, consent.approved_calibration(context), outputs)

    def finder_for(context: Context) -> ClinicFinder:
        return node_finder(home, consent.approved_finder(context))

    def audit_for(context: Context) -> AuditOf:
        run = consent.approved(context)
        return ClinicAudit(run.folder.split, run.plan, run.folder.state)

    sums = ClinicSums(consent.summand)
    app = build_client_app(trainer_for, quality_for, consent, calibrator_for, finder_for, audit_for, sums)
    add_counts(app, ClinicCounts(home))
    return app, consent
