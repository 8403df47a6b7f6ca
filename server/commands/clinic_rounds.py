"""The display of what each clinic contributed to a round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rich.markup import escape
from rich.table import Table

from dermafed.server.rounds.clinic_round import ClinicRound


def clinics_table(rounds: Mapping[int, Iterable[ClinicRound]]) -> Table:
    """A row for each clinic and round: share, norm, cosine, loss, balanced accuracy, and what is notable."""
    table = Table(title="The clinics' steps")
    table.add_column("Round", justify="right")
    table.add_column("Clinic")
    for heading in ("Share", "Norm", "Times median", "Cosine", "Train loss", "Balanced accuracy"):
        table.add_column(heading, justify="right")
    table.add_column("Note")
    for number, clinics in rounds.items():
        for one in clinics:
            numbers = (one.norm, one.times_median, one.cosine, one.train_loss, one.balanced_accuracy)
            share = "-" if math.isnan(one.share) else f"{100 * one.share:.1f} %"
            table.add_row(
                str(number), escape(one.clinic), share, *map(_number, numbers), escape(one.note) or "-"
            )
    return table


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
