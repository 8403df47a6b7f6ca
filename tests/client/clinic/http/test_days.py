"""The list of a day: any day that can be written, and beside a damaged diagnosis."""

from __future__ import annotations

from datetime import date

import pytest

from tests.client.clinic.http.http_node import Node, png


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1969-12-31"])
def test_any_day_has_a_page(node: Node, day: str) -> None:
    browser = node.clinician(f"of-{day}")
    assert browser.get(f"/day/{day}").status_code == 200


def test_a_day_with_a_damaged_diagnosis_has_a_page(node: Node) -> None:
    with node.device("camera-of-days") as device:
        id, other = (
            device.post("/v1/diagnoses", files={"image": png(seed)}).json()["id"] for seed in (501, 502)
        )
    with node.store._vault.database.writing() as db:
        db.execute("UPDATE diagnoses SET content = x'00' WHERE id = ?", (id,))
    page = node.clinician("of-days").get(f"/day/{date.today()}")
    node.store.forget(id)
    assert page.status_code == 200
    assert f"/diagnoses/{other}" in page.text
    assert f"1 cannot be read: the store is damaged there. Ask for the backup: {id}" in page.text
