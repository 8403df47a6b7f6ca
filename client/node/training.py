"""What a clinic's worker trains with: Keras trainers, built once for each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flwr.app import Context
from flwr.clientapp import ClientApp

from dermafed.client.node.calibration import ClinicCalibrator
from dermafed.client.node.client_app import QualityOf, build_client_app
from dermafed.client.node.clinic_trainer import site_trainer
from dermafed.client.node.consent import Approved, ClinicConsent
from dermafed.client.node.explanation_quality import score_cam, site_quality
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import keep_model
from dermafed.shared.metrics.evaluation import SiteEvaluation
from dermafed.shared.training.trainer import FloatVector, Trainer, Update


@dataclass(frozen=True)
class KeepingTrainer:
    """A trainer that also keeps the last global model it was shown, for the clinic's own use."""

    home: Home
    run: Approved
    trainer: Trainer

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """As the trainer does."""
        return self.trainer.train(weights, round, config)

    def evaluate(self, weights: FloatVector, round: int) -> SiteEvaluation:
        """As the trainer does, after keeping the weights."""
        keep_model(self.home.models, self.run.hash, self.run.offer, weights, round)
        return self.trainer.evaluate(weights, round)


@dataclass
class RunTrainers:
    """The trainer of the run in hand; another run's takes its place, for images fill the memory."""

    home: Home
    kept: tuple[Approved, Trainer] | None = field(default=None)

    def __call__(self, context: Context) -> Trainer:
        """The trainer of a context's run, which the clinic agreed to."""
        run = ClinicConsent(self.home).approved(context)
        if self.kept is None or self.kept[0] != run:
            self.kept = None
            trainer = site_trainer(run.folder.site, run.plan, run.folder.state)
            self.kept = run, KeepingTrainer(self.home, run, trainer)
        return self.kept[1]


def clinic_app(home: Home) -> tuple[ClientApp, ClinicConsent]:
    """The clinic's app, and its word on what a server may ask."""
    trainers = RunTrainers(home)
    consent = ClinicConsent(home, warm=trainers)

    def quality_for(context: Context) -> QualityOf:
        run = consent.approved(context)
        return site_quality(run.folder.site, run.plan, run.folder.state, score_cam)

    def calibrator_for(context: Context) -> ClinicCalibrator:
        return ClinicCalibrator(home, consent.calibrating(context))

    return build_client_app(trainers, quality_for, consent, calibrator_for), consent
