"""A round by secure sums over groups of clinics, whose means a robust rule combines.

A liar spoils the sum of its own group, whatever it sends. To the rule each group is what a clinic is to it
in a plan without secure sums, and so :class:`.robust_models.RobustModels` screens and combines them.
"""

from __future__ import annotations

from dataclasses import replace

from flwr.serverapp import Grid

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.exchange import Participation
from dermafed.server.rounds.federation import Federation
from dermafed.server.rounds.opened_sums import GroupSum, Opened
from dermafed.server.rounds.robust_models import RobustModels
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.sum_attempts import SumLostError
from dermafed.server.rounds.summed_rounds import asked_of, mean_of
from dermafed.server.rounds.trained_models import Trained
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import Instruction, encode_update
from dermafed.shared.training.trainer import Update


def train_by_groups(
    grid: Grid, asked: Instruction, sums: SecureSums, federation: Federation
) -> tuple[Trained, Participation]:
    """The model that the rule makes of the groups' means in a round.

    Args:
        grid: Flower's connection to the clinics.
        asked: what the clinics are asked for: the round, and the model they start from.
        sums: the run's secure sums, over groups.
        federation: the rule, and how updates are screened.

    Raises:
        SumLostError: the sums can never be opened, or more groups are spoilt than the rule bears.
        FederationError: they were not opened, but may be when the run goes on.
    """
    opened = sums.open(grid, asked_of("train", asked))
    start, screen, folder = asked.weights, federation.screen, federation.folder
    with RobustModels(
        start, federation.rules, screen, None, folder, None, robust=federation.robust, number=asked.round
    ) as models:
        for group in opened.groups:
            _accept(models, asked, group, sums)
        models.compare()
        try:
            trained = models.result()
        except FederationError as error:
            raise SumLostError(error.what, where=error.where, remedy=error.remedy) from error
    return replace(trained, clinics=_of_members(opened, trained)), opened.participation


def _accept(models: RobustModels, asked: Instruction, group: GroupSum, sums: SecureSums) -> None:
    """Give the rule a group's mean, or note why it cannot be one."""
    name = _name(group)
    try:
        mean, loss = mean_of(group, asked, sums, models.screen.parts)
        if group.sums["weight"][0] != len(group.names):
            raise FederationError("its weights are not those of its clinics")
        update = Update(mean.astype(models.start.dtype), 1, {"loss": max(0.0, loss)})
        models.accept(name, encode_update(update, 0.0))
    except FederationError as error:
        models.refuse(name, error.what)


def _name(group: GroupSum) -> str:
    return ", ".join(group.names)


def _of_members(opened: Opened, trained: Trained) -> dict[str, ClinicRound]:
    """Each clinic's part in the round: what was noted about its group, since nothing is known of itself."""
    found: dict[str, ClinicRound] = {}
    for group in opened.groups:
        note = trained.clinics[_name(group)].note
        said = f"of its group ({_name(group)}): {note}" if note else ""
        found |= {name: ClinicRound(name, note=said) for name in group.names}
    return found
