"""How many answers, alerts and disagreements there were in a time."""

from __future__ import annotations

from datetime import date

from dermafed.client.clinic.store.diagnoses import decrypt_rows, times_of_day
from dermafed.client.clinic.store.opinions import OPINION, WITHDRAWAL, events_between, opinions_of
from dermafed.client.clinic.store.vault import Vault


def count_answers(vault: Vault, start: date, end: date, model: str) -> dict[str, int]:
    """Counts of a model's answers, from a day until before another, by the clinic's own clock.

    Answers without an alert, since the model had no threshold then, and damaged ones do not count.

    Args:
        vault: the store.
        start: the first day.
        end: the day after the last.
        model: SHA-256 of its weights.

    Returns:
        ``answers``, ``alerts``; ``judged``: those on which an opinion stands, and ``disagreements``: those on
        which one that stands disagrees.
    """
    times = times_of_day(start)[0], times_of_day(end)[0]
    counts = dict.fromkeys(("answers", "alerts", "judged", "disagreements"), 0)
    with vault.database.reading() as db:
        events = events_between(vault, db, *times, OPINION, WITHDRAWAL)
        rows = db.execute("SELECT * FROM diagnoses WHERE made >= ? AND made < ?", times)
        for id, diagnosis in decrypt_rows(vault, rows):
            if diagnosis is None or diagnosis.alert is None or diagnosis.model.sha256 != model:
                continue
            standing = [each for each in opinions_of(events.get(id, [])) if each.counts]
            counts["answers"] += 1
            counts["alerts"] += diagnosis.alert
            counts["judged"] += bool(standing)
            counts["disagreements"] += any(not each.agrees for each in standing)
    return counts
