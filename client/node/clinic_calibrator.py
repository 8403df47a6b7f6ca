"""A clinic's part in the calibration of a run's last model, on its own images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dermafed.client.node.consent import ApprovedRun
from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.own_model import own_model
from dermafed.client.node.saved_models import MODEL, SavedModel, find_saved_model, save_last_model
from dermafed.shared.errors import DatasetError, FederationError, SettingsError
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.metrics.calibration.calibration import (
    Calibration,
    fit_out_of_distribution,
    own_offsets,
)
from dermafed.shared.metrics.calibration.calibration_file import save_calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.clinic_alert import fit_clinic_alert
from dermafed.shared.metrics.calibration.clinic_offsets import fit_clinic_offsets
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs, network_outputs
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA, lesion_scores
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.offset_messages import OffsetsRequest, offsets_from_config
from dermafed.shared.protocol.score_messages import ScoresRequest
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import loaded_classifier
from dermafed.shared.training.trainer import FloatVector

log = logging.getLogger("dermafed.client")


def check_finite(values: FloatVector) -> None:
    """Refuse NaN and infinity.

    Raises:
        FederationError: a weight or an output is one of these.
    """
    if not np.isfinite(values).all():
        raise FederationError("The global model is not finite", remedy="Tell the coordinator")


@dataclass
class LastOutputs:
    """What one model makes of a clinic's validation images, in memory: it is asked for at many points.

    Attributes:
        of: the run's hash and the digest of its model.
        own: the model that the clinic uses: the run's, or that with the clinic's own last layer.
        outputs: of this model.
    """

    of: tuple[str, str]
    own: FloatVector
    outputs: NetworkOutputs


@dataclass(frozen=True)
class ClinicCalibrator:
    """Calibrates the global model of a run on the clinic's own images.

    Attributes:
        home: the clinic's folder.
        run: the run that the clinic approved.
        last: where the outputs for the validation images that were computed last are kept, if there are any.
    """

    home: Home
    run: ApprovedRun
    last: list[LastOutputs] = field(default_factory=list)

    def sums(self, instruction: Instruction) -> CalibrationSums:
        """The sums of the clinic's validation images of common classes; saves the model, the run's last.

        Raises:
            DatasetError: no class has enough validation images.
            FederationError: the server asks for an impossible temperature or offsets, or the model is not
                finite.
        """
        temperature = instruction.config.get("temperature", 1.0)
        if not TEMPERATURES[0] <= temperature <= TEMPERATURES[-1]:
            raise FederationError(f"There is no temperature {temperature}", where="query.calibrate")
        offsets = offsets_from_config(instruction.config)
        if offsets:
            ClassOffsets(1 / temperature, offsets).validate(len(self.run.offer.model.classes))
        run, weights = self.run, instruction.weights
        check_finite(weights)
        outputs = self._validation(weights)
        sums = CalibrationSums.of(
            outputs.logits, outputs.labels, temperature, offsets=offsets, shows_rare=False
        )
        save_last_model(self.home.models, run.hash, run.offer, weights, instruction.round)
        return sums

    def offset_sums(self, asked: OffsetsRequest) -> OffsetSums:
        """The loss of the same images and its derivatives, at a scale and offsets.

        Raises:
            DatasetError: no class has enough validation images.
            FederationError: another model is asked for than the one saved, or other classes.
        """
        asked.point.validate(len(self.run.offer.model.classes))
        outputs = self._validation(self._saved(asked.model)[1])
        return OffsetSums.of(outputs.logits, outputs.labels, asked.point, shows_rare=False)

    def scores(self, asked: ScoresRequest) -> ScoreHistogram:
        """The same lesions by their probability of melanoma without the prior, with the clinic's own offsets.

        Raises:
            DatasetError: no class has enough validation lesions, or none is melanoma.
            FederationError: another model is asked for than the one saved, or other classes.
        """
        classes, fitted = self.run.offer.model.classes, asked.federation
        fitted.point.validate(len(classes))
        if MELANOMA not in classes:
            raise DatasetError("The model does not know melanoma", remedy="Ask a model that does")
        outputs = self._validation(self._saved(asked.model)[1])
        own = fit_clinic_offsets(fitted, outputs.logits, outputs.labels, self._images_of_classes())
        lesions = [record.lesion for record in self._split.validation]
        shown = own.without_prior.probabilities(outputs.logits)
        scored = lesion_scores(outputs.labels, shown, classes.index(MELANOMA), lesions)
        return ScoreHistogram.of(scored, shows_rare=False)

    def save(self, calibration: Calibration) -> None:
        """Save the calibration of all clinics beside the model, with what this clinic fits to its own images.

        These are its scale and offsets, around those of all clinics, its out-of-distribution rule, and its
        alert for melanoma.

        Raises:
            FederationError: it belongs to another model than the one saved.
            StorageError: it cannot be written.
        """
        model, weights = self._saved(calibration.model)
        if calibration.classes != self.run.offer.model.classes:
            raise FederationError("The calibration belongs to another model", where=model.folder)
        last = self._last(weights)
        validation, training = last.outputs, self._outputs(last.own, self._split.train)
        federation = calibration.federation
        own = replace(
            calibration,
            out_of_distribution=fit_out_of_distribution(training, validation),
            own=None if federation is None else own_offsets(federation, training, validation),
            model=weights_digest(last.own),
        )
        if self.run.offer.own_layer:
            model.save_own(last.own)
        save_calibration(model.folder / MODEL, replace(own, alert=self._alert(own, validation)))

    def _alert(self, calibration: Calibration, validation: NetworkOutputs) -> AlertRule | None:
        """The clinic's alert; none where its settings cannot be read: the calibration is saved without it."""
        try:
            settings = read_settings(self.home).decision
        except SettingsError as error:
            log.error("no alert for melanoma was fitted: %s", error)
            return None
        lesions = [record.lesion for record in self._split.validation]
        return fit_clinic_alert(calibration, validation, lesions, settings)

    def _images_of_classes(self) -> NDArray[np.int64]:
        """Training and validation images of each class, int64 (C,)."""
        labels = [record.label for record in (*self._split.train, *self._split.validation)]
        return np.array([labels.count(name) for name in self.run.offer.model.classes], np.int64)

    @cached_property
    def _split(self) -> Splits:
        return read_clinic_split(self.run.folder.split).splits

    def _saved(self, digest: str) -> tuple[SavedModel, FloatVector]:
        model = find_saved_model(self.home.models, self.run.hash, self.run.offer)
        if model is None:
            raise FederationError("No model of the run is saved here", where=self.home.models)
        weights = model.weights()
        if weights_digest(weights) != digest:
            raise FederationError("The calibration belongs to another model", where=model.folder)
        return model, weights

    def _validation(self, weights: FloatVector) -> NetworkOutputs:
        return self._last(weights).outputs

    def _last(self, weights: FloatVector) -> LastOutputs:
        """The outputs for the validation images, computed once for each model."""
        of = self.run.hash, weights_digest(weights)
        if not self.last or self.last[0].of != of:
            own = self._own(weights)
            outputs = self._outputs(own, self._split.validation)
            check_finite(outputs.logits)
            self.last[:] = [LastOutputs(of, own, outputs)]
        return self.last[0]

    def _own(self, weights: FloatVector) -> FloatVector:
        """The model that the clinic will use: with its own last layer, if the plan has it."""
        run = self.run
        if not run.offer.own_layer:
            return weights
        configure_backend(run.plan.threads)
        return own_model(run.folder.split, run.plan, weights)

    def _outputs(self, weights: FloatVector, records: Sequence[LesionRecord]) -> NetworkOutputs:
        plan = self.run.plan
        configure_backend(plan.threads)
        # Without the clinic's own batch normalisation: the saved and the exported model have the global one.
        classifier = loaded_classifier(plan.model, weights)
        images = load_labelled(records, plan.model, plan.preprocess)
        return network_outputs(classifier, images, views=plan.model.views_at_test)
