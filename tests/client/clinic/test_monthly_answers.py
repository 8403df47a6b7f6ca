"""The served model's answers by month, counted from the store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from dermafed.client.clinic.diagnosis.diagnosis import MissRate, ModelUsed
from dermafed.client.clinic.monthly_answers import count_months, save_months
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import open_store
from dermafed.client.node.clinic_counts import ClinicCounts
from dermafed.shared.counts.monthly_counts import KINDS
from tests.client.clinic.store.samples import home, save_one

MODEL = ModelUsed("second", 3, "cd" * 32)
RULE = {"alert_threshold": 0.2, "miss_rate": MissRate(0.1, 0.0, 0.3, 10, ""), "possible": ("nevus",)}


def test_answers_alerts_and_disagreements_by_month(tmp_path: Path) -> None:
    place = home(tmp_path)
    with open_store(place) as store:

        def made(
            seed: int, day: str, *opinions: Opinion, alert: bool = False, model: ModelUsed = MODEL
        ) -> str:
            at = datetime.fromisoformat(f"{day}T12:00:00+00:00").isoformat(timespec="milliseconds")
            id = save_one(store, seed, time=at, alert=alert, model=model, **RULE).id
            for opinion in opinions:
                store.add_opinion(id, opinion)
            return id

        agrees, says = Opinion("huber", True), Opinion("maier", False, "melanoma")
        made(1, "2027-02-02", agrees)
        made(2, "2027-02-27", says, agrees, alert=True)
        made(3, "2027-03-15", alert=True)
        store.withdraw_opinion(made(4, "2027-03-16", says), "maier")
        made(5, "2027-03-17", says, Opinion("maier", True), alert=True)  # the latest of each counts
        made(6, "2027-03-18", says, alert=True, model=ModelUsed("first", 3, "ab" * 32))
        save_one(store, 7, time=datetime(2027, 3, 19, tzinfo=UTC).isoformat(), model=MODEL)  # had no alert
        made(8, "2027-04-02", says, alert=True)  # this month is not over
        made(9, "2026-03-15", says, alert=True)  # a year ago
        counts = count_months(store, MODEL.sha256, None, date(2027, 4, 10))
    rows = dict(zip(counts.months, counts.counts.tolist(), strict=True))
    assert KINDS == ("answers", "alerts", "judged", "disagreements")
    assert rows.pop("2027-02") == [2, 1, 2, 1]
    assert rows.pop("2027-03") == [3, 2, 1, 0]
    assert set(map(tuple, rows.values())) == {(0, 0, 0, 0)}
    save_months(place, counts)
    assert place.monthly.stat().st_mode & 0o777 == 0o600
    assert ClinicCounts(place).sent_drift() is None
