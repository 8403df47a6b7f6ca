"""Calibrate a model on a clinic's own labelled images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.evaluation.evaluate import Stage
from dermafed.client.node.clinic_data import OfferFolder
from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.offers import Offers
from dermafed.shared.errors import DatasetError, ModelError
from dermafed.shared.explain.engine import Engine, best_engine
from dermafed.shared.explain.network import Network, open_network
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.lesions.class_map import class_map_for
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import Splits
from dermafed.shared.lesions.splits import check_no_duplicates, split_clinics
from dermafed.shared.metrics.calibration.calibration import Calibration, fit_calibration
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.metrics.calibration.clinic_alert import fit_clinic_alert
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs, network_outputs
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.training.data import label_images

SEED = 0  # of the split of images that no run has split; fl-simulate's default


@dataclass(frozen=True, slots=True)
class CalibrationImages:
    """The images that a calibration is fitted to.

    Attributes:
        splits: labelled with the model's classes; the test side is left alone.
        note: where the split comes from.
    """

    splits: Splits
    note: str


def calibrate(
    model: OpenedModel, images: CalibrationImages, stage: Stage, decision: DecisionSettings
) -> Calibration:
    """Calibrate a model; writes only to the preprocessing cache.

    Args:
        model: the model to calibrate.
        images: of the clinic.
        stage: called with the name of a stage; returns its progress callback (images done, images).
        decision: what the clinic wants of an alert for melanoma.

    The scale and offsets are drawn to the federation's, where the model's calibration has them.

    Raises:
        DatasetError: there are too few validation images.
        ImageError: an image cannot be read.
        ModelError: an output is NaN or infinite.
    """
    federation, scores = _federation(model)
    network = open_network(model.classifier)
    # A serving node's: the thresholds are of the very numbers that it will compare with them.
    engine = best_engine(network)
    outputs = {
        side: _outputs(model, network, engine, images.splits, side, stage) for side in ("train", "validation")
    }
    calibration = fit_calibration(
        model.used.sha256, model.card.model.classes, outputs["train"], outputs["validation"], federation
    )
    calibration = replace(calibration, scores=scores)
    lesions = [record.lesion for record in images.splits.validation]
    alert = fit_clinic_alert(calibration, outputs["validation"], lesions, decision)
    return replace(calibration, alert=alert)


def clinic_decision(home: Home) -> DecisionSettings:
    """What the clinic wants of an alert: the table ``[decision]`` of ``clinic.toml``, or the defaults.

    Raises:
        SettingsError: it cannot be used; names the field.
    """
    return read_settings(home).decision if home.settings_file.is_file() else DecisionSettings()


def own_images(model: OpenedModel, home: Home) -> CalibrationImages:
    """The clinic's images, split as in the run that the model comes from where the clinic took part in it.

    Raises:
        DatasetError: the data cannot be used.
        SettingsError: the settings cannot be read.
    """
    settings = read_settings(home)
    hash = _offer(model, home)
    if hash is None:
        return given_images(model, settings.data, settings.columns)
    split = read_clinic_split(OfferFolder(home.offers / hash, settings.clinic).split)
    return CalibrationImages(split.splits, "Split as in the run that the model comes from")


def given_images(model: OpenedModel, data: Path, columns: ColumnNames | None = None) -> CalibrationImages:
    """A data set's images, split anew.

    Raises:
        DatasetError: the data cannot be used.
    """
    records = load_dataset(data, columns=columns).records
    places = {record.label: str(record.path) for record in reversed(records)}
    class_map = class_map_for(model.card.model.classes, places, of=model.card.labels, places=places)
    mapped, _ = class_map.apply(records)
    ordered = sorted(mapped, key=lambda record: record.image_id)
    (splits,) = split_clinics({"the data set": ordered}, seed=SEED).values()
    check_no_duplicates([splits])
    return CalibrationImages(
        splits, "Split anew: metrics on images that the model was trained on look too good"
    )


def _federation(model: OpenedModel) -> tuple[FittedOffsets | None, ScoreHistogram | None]:
    """What all clinics fitted and counted, of the calibration beside the model; none of a damaged one."""
    try:
        before = load_calibration(model.file, model.used.sha256)
    except ModelError:
        return None, None
    if before is None or before.federation is None or before.federation.clinics < 2:
        return None, None
    return before.federation, before.scores


def _offer(model: OpenedModel, home: Home) -> str | None:
    """The offer of the model's run, if its images were split here."""
    prefix = str(model.card.data.get("offer") or model.used.name.rpartition("-")[2])
    known = Offers(home.offers).load_all()
    found = [hash for hash in known if len(prefix) >= 8 and hash.startswith(prefix)]
    clinic = read_settings(home).clinic
    split = [hash for hash in found if OfferFolder(home.offers / hash, clinic).split.is_dir()]
    return split[0] if len(split) == 1 else None


def _outputs(
    model: OpenedModel, network: Network, engine: Engine, splits: Splits, side: str, stage: Stage
) -> NetworkOutputs:
    records, card = splits.sides()[side], model.card
    if not records:
        raise DatasetError(f"There is no {side} image", remedy="Give images of more lesions")
    cached = PreprocessCache(default_cache_folder()).load(
        [record.path for record in records], card.preprocess, progress=stage(f"Preprocessing, {side}")
    )
    data = label_images(records, cached.images, card.model)
    progress = stage(f"Predicting, {side}")
    return network_outputs(network, data, progress, views=card.model.views_at_test, engine=engine)
