"""What a clinic's worker trains with: Keras trainers, built once for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from flwr.app import Context
from flwr.clientapp import ClientApp

from dermafed.client.node.client_app import QualityOf, build_client_app
from dermafed.client.node.clinic_trainer import build_clinic_trainer
from dermafed.client.node.consent import Approved, ClinicConsent
from dermafed.client.node.explanation_quality import build_explanation_quality, score_cam
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import MODEL, SavedModel, find_saved_model, save_last_model
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


@dataclass(frozen=True)
class SavingTrainer:
    """A trainer that also keeps the last global model it was shown, for the clinic's own use."""

    home: Home
    run: Approved
    trainer: Trainer

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """As the trainer does."""
        return self.trainer.train(weights, round, config)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """As the trainer does, after keeping the weights."""
        save_last_model(self.home.models, self.run.hash, self.run.offer, weights, round)
        return self.trainer.evaluate(weights, round)


@dataclass
class CurrentTrainer:
    """The trainer of the run in hand; another run's takes its place, for images fill the memory."""

    home: Home
    kept: tuple[Approved, Trainer] | None = field(default=None)

    def __call__(self, context: Context) -> Trainer:
        """The trainer of a context's run, which the clinic agreed to."""
        run = ClinicConsent(self.home).approved(context)
        if self.kept is None or self.kept[0] != run:
            self.kept = None
            trainer = build_clinic_trainer(run.folder.site, run.plan, run.folder.state)
            self.kept = run, SavingTrainer(self.home, run, trainer)
        return self.kept[1]


def build_node_app(home: Home) -> tuple[ClientApp, ClinicConsent]:
    """The clinic's app, and its word on what a server may ask."""
    trainers = CurrentTrainer(home)
    consent = ClinicConsent(home, warm=trainers)

    def quality_for(context: Context) -> QualityOf:
        run = consent.approved(context)
        return build_explanation_quality(run.folder.site, run.plan, run.folder.state, score_cam)

    def calibrator_for(context: Context) -> ClinicCalibrator:
        return ClinicCalibrator(home, consent.calibrating(context))

    return build_client_app(trainers, quality_for, consent, calibrator_for), consent


@dataclass(frozen=True)
class ClinicCalibrator:
    """Calibrates the global model of a run on the clinic's own images.

    Attributes:
        home: the clinic's folder.
        run: that it agreed to.
    """

    home: Home
    run: Approved

    def sums(self, asked: Instruction) -> CalibrationSums:
        """The sums of the clinic's validation images; keeps the model, which is the run's last.

        Raises:
            DatasetError: the clinic has too few validation images.
            FederationError: the server asks for an impossible temperature.
        """
        temperature = asked.config.get("temperature", 1.0)
        if not TEMPERATURES[0] <= temperature <= TEMPERATURES[-1]:
            raise FederationError(f"There is no temperature {temperature}", where="query.calibrate")
        save_last_model(self.home.models, self.run.hash, self.run.offer, asked.weights, asked.round)
        outputs = self._look(asked.weights, read_clinic_split(self.run.folder.site).splits.validation)
        return CalibrationSums.of(outputs.logits, outputs.labels, temperature)

    def keep(self, calibration: Calibration) -> None:
        """Keep the trust of all clinics beside the kept model, with what lies outside this clinic's images.

        Raises:
            FederationError: it is of another model than the one kept.
            StorageError: it cannot be written.
        """
        kept = self._kept()
        weights = kept.weights()
        same = weights_digest(weights) == calibration.model
        if not same or calibration.classes != self.run.offer.model.classes:
            raise FederationError("The trust is of another model than the one kept", where=kept.folder)
        splits = read_clinic_split(self.run.folder.site).splits
        training, validation = (self._look(weights, side) for side in (splits.train, splits.validation))
        save_calibration(
            kept.folder / MODEL,
            replace(calibration, out_of_distribution=fit_out_of_distribution(training, validation)),
        )

    def _kept(self) -> SavedModel:
        kept = find_saved_model(self.home.models, self.run.hash, self.run.offer)
        if kept is None:
            raise FederationError("No model of the run is kept here", where=self.home.models)
        return kept

    def _look(self, weights: FloatVector, records: Sequence[LesionRecord]) -> NetworkOutputs:
        plan = self.run.plan
        configure_backend(plan.threads)
        # Without the clinic's own batch normalisation: the kept and the exported model are the global one.
        classifier = loaded_classifier(plan.model, weights)
        return network_outputs(classifier, load_labelled(records, plan.model, plan.preprocess))
