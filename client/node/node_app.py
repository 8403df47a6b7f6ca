"""The ClientApp of a clinic's node: train, explain and calibrate the runs that the clinic approved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp

from dermafed.client.node.client_app import QualityOf, build_client_app
from dermafed.client.node.clinic_trainer import build_clinic_trainer
from dermafed.client.node.consent import ApprovedRun, ClinicConsent
from dermafed.client.node.explanation_quality import build_explanation_quality, score_cam
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import MODEL, find_saved_model, save_last_model
from dermafed.shared.errors import FederationError
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.calibration import (
    Calibration,
    fit_out_of_distribution,
    weights_digest,
)
from dermafed.shared.metrics.calibration.calibration_file import save_calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs, network_outputs
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import loaded_classifier
from dermafed.shared.training.trainer import FloatVector, Trainer, Update


def check_finite(values: FloatVector) -> None:
    """Refuse NaN and infinity.

    Raises:
        FederationError: a weight or an output is one of these.
    """
    if not np.isfinite(values).all():
        raise FederationError("The global model is not finite", remedy="Tell the coordinator")


@dataclass(frozen=True)
class SavingTrainer:
    """A trainer that also saves the last global model that it evaluates, for the clinic's own use."""

    home: Home
    run: ApprovedRun
    trainer: Trainer

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """As the trainer does."""
        return self.trainer.train(weights, round, config)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """As the trainer does; saves the weights if they and the evaluation are finite.

        Raises:
            FederationError: they are not; the model of the round before stays.
        """
        check_finite(weights)
        evaluation = self.trainer.evaluate(weights, round)
        if not math.isfinite(evaluation.loss_sum):
            raise FederationError("The model's loss is not a number", where=self.run.offer.name)
        save_last_model(self.home.models, self.run.hash, self.run.offer, weights, round)
        return evaluation


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
            trainer = build_clinic_trainer(run.folder.split, run.plan, run.folder.state)
            self.current = run, SavingTrainer(self.home, run, trainer)
        return self.current[1]


def build_node_app(home: Home) -> tuple[ClientApp, ClinicConsent]:
    """The clinic's app, and its consent to what a server asks."""
    trainer_for = CurrentTrainer(home)
    consent = ClinicConsent(home, warm_up=trainer_for)

    def quality_for(context: Context) -> QualityOf:
        run = consent.approved(context)
        return build_explanation_quality(run.folder.split, run.plan, run.folder.state, score_cam)

    def calibrator_for(context: Context) -> ClinicCalibrator:
        return ClinicCalibrator(home, consent.approved_calibration(context))

    return build_client_app(trainer_for, quality_for, consent, calibrator_for), consent


@dataclass(frozen=True)
class ClinicCalibrator:
    """Calibrates the global model of a run on the clinic's own images.

    Attributes:
        home: the clinic's folder.
        run: the run that the clinic approved.
    """

    home: Home
    run: ApprovedRun

    def sums(self, instruction: Instruction) -> CalibrationSums:
        """The sums of the clinic's validation images of common classes; saves the model, the run's last.

        Raises:
            DatasetError: no class has enough validation images.
            FederationError: the server asks for an impossible temperature, or the model is not finite.
        """
        temperature = instruction.config.get("temperature", 1.0)
        if not TEMPERATURES[0] <= temperature <= TEMPERATURES[-1]:
            raise FederationError(f"There is no temperature {temperature}", where="query.calibrate")
        run, weights = self.run, instruction.weights
        check_finite(weights)
        outputs = self._outputs(weights, read_clinic_split(run.folder.split).splits.validation)
        check_finite(outputs.logits)
        sums = CalibrationSums.of(outputs.logits, outputs.labels, temperature, shows_rare=False)
        save_last_model(self.home.models, run.hash, run.offer, weights, instruction.round)
        return sums

    def save(self, calibration: Calibration) -> None:
        """Save the calibration of all clinics beside the model, with this clinic's out-of-distribution rule.

        Raises:
            FederationError: it belongs to another model than the one saved.
            StorageError: it cannot be written.
        """
        model = find_saved_model(self.home.models, self.run.hash, self.run.offer)
        if model is None:
            raise FederationError("No model of the run is saved here", where=self.home.models)
        weights = model.weights()
        same = weights_digest(weights) == calibration.model
        if not same or calibration.classes != self.run.offer.model.classes:
            raise FederationError("The calibration belongs to another model", where=model.folder)
        splits = read_clinic_split(self.run.folder.split).splits
        training, validation = (self._outputs(weights, side) for side in (splits.train, splits.validation))
        own = fit_out_of_distribution(training, validation)
        save_calibration(model.folder / MODEL, replace(calibration, out_of_distribution=own))

    def _outputs(self, weights: FloatVector, records: Sequence[LesionRecord]) -> NetworkOutputs:
        plan = self.run.plan
        configure_backend(plan.threads)
        # Without the clinic's own batch normalisation: the saved and the exported model are the global one.
        classifier = loaded_classifier(plan.model, weights)
        return network_outputs(classifier, load_labelled(records, plan.model, plan.preprocess))
