"""A clinic's part in the calibration of a run's last model: sums that leave, and trust that comes home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dermafed.client.node.consent import Approved
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import MODEL, KeptModel, keep_model, kept_model
from dermafed.shared.errors import FederationError
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.calibration import Trust, weights_digest
from dermafed.shared.metrics.calibration.calibration_file import save_trust
from dermafed.shared.metrics.calibration.calibration_sums import TrustSums
from dermafed.shared.metrics.calibration.fitting import fit_outside
from dermafed.shared.metrics.calibration.network_outputs import Looks, look_at
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import loaded_classifier
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class ClinicCalibrator:
    """Calibrates the global model of a run on the clinic's own images.

    Attributes:
        home: the clinic's folder.
        run: that it agreed to.
    """

    home: Home
    run: Approved

    def sums(self, asked: Instruction) -> TrustSums:
        """The sums of the clinic's validation images; keeps the model, which is the run's last.

        Raises:
            DatasetError: the clinic has too few validation images.
            FederationError: the server asks for an impossible temperature.
        """
        temperature = asked.config.get("temperature", 1.0)
        if not TEMPERATURES[0] <= temperature <= TEMPERATURES[-1]:
            raise FederationError(f"There is no temperature {temperature}", where="query.calibrate")
        keep_model(self.home.models, self.run.hash, self.run.offer, asked.weights, asked.round)
        looks = self._look(asked.weights, read_clinic_split(self.run.folder.site).splits.validation)
        return TrustSums.of(looks.logits, looks.labels, temperature)

    def keep(self, trust: Trust) -> None:
        """Keep the trust of all clinics beside the kept model, with what lies outside this clinic's images.

        Raises:
            FederationError: it is of another model than the one kept.
            StorageError: it cannot be written.
        """
        kept = self._kept()
        weights = kept.weights()
        same = weights_digest(weights) == trust.model
        if not same or trust.classes != self.run.offer.model.classes:
            raise FederationError("The trust is of another model than the one kept", where=kept.folder)
        splits = read_clinic_split(self.run.folder.site).splits
        training, validation = (self._look(weights, side) for side in (splits.train, splits.validation))
        save_trust(kept.folder / MODEL, replace(trust, rule=fit_outside(training, validation)))

    def _kept(self) -> KeptModel:
        kept = kept_model(self.home.models, self.run.hash, self.run.offer)
        if kept is None:
            raise FederationError("No model of the run is kept here", where=self.home.models)
        return kept

    def _look(self, weights: FloatVector, records: Sequence[LesionRecord]) -> Looks:
        plan = self.run.plan
        configure_backend(plan.threads)
        # Without the clinic's own batch normalisation: the kept and the exported model are the global one.
        classifier = loaded_classifier(plan.model, weights)
        return look_at(classifier, load_labelled(records, plan.model, plan.preprocess))
