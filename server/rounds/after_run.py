"""What the clinics are asked for after the last round of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flwr.serverapp import Grid

from dermafed.server.rounds.checkpoint import RunState
from dermafed.server.rounds.federation import Federation
from dermafed.server.rounds.refit_round import Refitting, refit_round, refitted
from dermafed.server.rounds.run_audit import audit_with_clinics
from dermafed.server.rounds.run_calibration import calibrate_with_clinics
from dermafed.server.rounds.run_explanations import measure_explanations
from dermafed.server.rounds.run_finder import ClinicsFinder, fit_with_clinics, send_finder
from dermafed.shared.protocol.offer import Offer


@dataclass(frozen=True, kw_only=True)
class AfterRun:
    """What comes after the last round.

    Attributes:
        refit: how the last layer is trained anew; ``None``: it is not.
        lesion_features: whether that layer reads the lesion that the finder finds.
        explain: whether the clinics measure explanations of the last model; the metrics are in
            ``explanations.json``.
        calibrate: the names of the classes if the clinics calibrate the last model together; the result is in
            ``calibration.json``.
        lesion_finder: whether the clinics fit a lesion finder to the last model; it is in
            ``lesion-finder.json``.
        audit_model: whether the clinics audit the last model for shortcuts; the result is in
            ``model-audit.json``.
    """

    refit: Refitting | None = None
    lesion_features: bool = False
    explain: bool = False
    calibrate: tuple[str, ...] | None = None
    lesion_finder: bool = False
    audit_model: bool = False

    @classmethod
    def of(cls, offer: Offer) -> AfterRun:
        """What an offer asks for."""
        return cls(
            refit=Refitting.of(offer.refit, offer.recipe.ridge),
            lesion_features=offer.model.features == "lesion",
            explain=offer.explain,
            calibrate=offer.model.classes if offer.calibrate else None,
            lesion_finder=offer.lesion_finder,
            audit_model=offer.audit_model,
        )

    def run(
        self, grid: Grid, last: RunState, federation: Federation, keep: Callable[[RunState], None]
    ) -> None:
        """Ask the clinics for it; the results are in the run's folder.

        Args:
            grid: Flower's connection to the clinics.
            last: the state after the last round, or after the last layer was trained anew.
            federation: what stays the same.
            keep: saves the state after the last layer was trained anew.

        Raises:
            FederationError: too few clinics replied.
        """
        rules, members, folder = federation.rules, federation.members, federation.folder
        found: ClinicsFinder | None = None
        if self.refit is not None and not refitted(last):
            if self.lesion_features:
                found = fit_with_clinics(grid, last.weights, last.round, rules, members)
            start = found.within(last.weights) if found else None
            keep(last := refit_round(grid, last, federation, self.refit, start))
        if self.explain:
            measure_explanations(grid, last.weights, last.round, rules).save(folder)
        if self.calibrate is not None:
            calibration = calibrate_with_clinics(
                grid, last.weights, last.round, rules, self.calibrate, members
            )
            calibration.save(folder)
        if self.lesion_finder:  # after the calibration, by which the clinics save its model
            found = found or fit_with_clinics(grid, last.weights, last.round, rules, members)
            found = found.of_model(last.weights, last.round)
            send_finder(grid, found, rules)
            found.save(folder)
        if self.audit_model:
            audit_with_clinics(grid, last.weights, last.round, rules, members).save(folder)


NOTHING = AfterRun()
"""The last model is the result."""
