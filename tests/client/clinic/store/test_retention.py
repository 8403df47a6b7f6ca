"""What expires and what is forgotten leaves no byte behind."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.opinions import Opinion, View
from dermafed.client.clinic.store.retention import forget
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.clinic.store.vault import open_vault
from dermafed.client.node.home import Home
from tests.client.clinic.lesions import FOUND
from tests.client.clinic.store.samples import all_bytes, save_one

NOW = datetime.now(UTC)


def ago(**past: float) -> str:
    return (NOW - timedelta(**past)).isoformat(timespec="milliseconds")


def encrypted_bytes(home: Home, store: Store, id: str) -> list[bytes]:
    """The sealed bytes of a diagnosis, wherever they lie."""
    found = [path.read_bytes() for path in (home.store / "files").glob(f"{id}.*")]
    with store._vault.database.reading() as db:
        row = db.execute("SELECT * FROM diagnoses WHERE id = ?", (id,)).fetchone()
        events = db.execute(
            "SELECT content FROM events WHERE diagnosis = ? ORDER BY number", (id,)
        ).fetchall()
    return [*found, row["content"], row["reference"], row["asked"], *(event["content"] for event in events)]


def remains(home: Home, encrypted: list[bytes]) -> list[bytes]:
    content = all_bytes(home.folder)
    return [text[:32] for text in encrypted if text[:32] in content or text[-32:] in content]


def is_gone(store: Store, id: str) -> None:
    for ask in (store.load_prepared, store.load_image):
        with pytest.raises(Refused, match="no longer stored") as caught:
            ask(id)
        assert caught.value.status == 410


def test_a_forgotten_diagnosis_leaves_no_byte(home: Home, store: Store) -> None:
    """Among two hundred others, whose coming and going moves rows from page to page."""
    target = save_one(store, 1, "1.2.3.4711")
    store.add_opinion(
        target.id, Opinion("dr-huber", False, "melanoma", "Obermoser, the second", "histopathology")
    )
    store.add_view(target.id, "dr-huber")
    others = [save_one(store, seed, f"r-{seed}") for seed in range(2, 100)]
    for each in others[::3]:
        store.add_opinion(each.id, Opinion("dr-huber", True, reason="x" * 700))
    encrypted = encrypted_bytes(home, store, target.id)
    assert len(encrypted) == 7
    assert len(remains(home, encrypted)) == 7
    store.forget(target.id, *(each.id for each in others[::2]))
    assert remains(home, encrypted) == []
    content = all_bytes(home.store)
    assert content.count(target.id.encode()) == 2  # the line that says so, and its index
    assert next(iter(store.list_forgotten())) == target.id
    for ask in (store.load, store.list_opinions, store.list_views, store.load_reference, store.forget):
        with pytest.raises(Refused) as caught:
            ask(target.id)
        assert caught.value.status == 410
    is_gone(store, target.id)
    assert store.find_request("camera-1", "1.2.3.4711") is None
    assert [store.load(each.id) for each in others[1::2]] == others[1::2]


def test_nothing_is_forgotten_if_one_is_unknown(store: Store) -> None:
    made = save_one(store)
    with pytest.raises(Refused, match="no such diagnosis"):
        store.forget(made.id, "0" * 32)
    assert store.load(made.id) == made


def test_an_expired_lesion_keeps_its_measures_but_no_outline(store: Store) -> None:
    old = save_one(store, 1, time=ago(days=31), lesion=FOUND)
    assert store.load(old.id).lesion == FOUND
    assert store.expire(NOW) == 1
    assert store.load(old.id).lesion == replace(FOUND, outline=())


def test_an_expired_diagnosis_has_no_personal_data(home: Home, store: Store) -> None:
    old = save_one(store, 1, "1.2.3.4711", time=ago(days=30, seconds=1))
    young = save_one(store, 2, time=ago(days=30, seconds=-60))
    for each in (old, young):
        store.add_opinion(each.id, Opinion("dr-huber", False, "melanoma", "the second", "histopathology"))
        store.add_view(each.id, "dr-huber")
    encrypted = encrypted_bytes(home, store, old.id)
    assert store.expire(NOW) == 1
    assert store.expire(NOW) == 0
    bare = store.load(old.id)
    assert bare.clinical == Clinical()
    assert bare.request is None
    assert bare.to_dict() == {**old.to_dict(), "clinical": asdict(Clinical()), "request": None}
    (opinion,) = store.list_opinions(old.id)
    assert (opinion.who, opinion.label, opinion.reason, opinion.confirmed_by) == (
        "dr-huber",
        "melanoma",
        "",
        "histopathology",
    )
    assert [view.who for view in store.list_views(old.id)] == ["dr-huber"]
    assert store.load_reference(old.id) is None
    is_gone(store, old.id)
    assert store.find_request("camera-1", "1.2.3.4711") == bare  # a repeated request is still the same
    retained = {encrypted[4], encrypted[6]}  # the keyed digest of the request, and who looked
    assert set(remains(home, encrypted)) == {text[:32] for text in retained}
    assert store.load(young.id) == young
    assert store.load_image(young.id).any()
    assert store.list_opinions(young.id)[0].reason == "the second"


def test_old_diagnoses_expire_when_the_store_is_opened(home: Home, store: Store) -> None:
    old = save_one(store, 1, time=ago(days=10))
    store.close()
    with open_store(home) as same, open_store(home, 11) as other:
        assert same.load_image(old.id).any()
        assert other.load_image(old.id).any()
    with open_store(home, 9) as opened:
        is_gone(opened, old.id)
    assert not list((home.store / "files").iterdir())


def test_an_expired_diagnosis_can_be_forgotten(home: Home, store: Store) -> None:
    old = save_one(store, 1, "r", time=ago(days=31))
    store.expire(NOW)
    store.forget(old.id)
    with pytest.raises(Refused, match="no longer stored"):
        store.load(old.id)


def test_views_and_opinions_accumulate(store: Store) -> None:
    made = save_one(store)
    first = store.add_opinion(made.id, Opinion("dr-a", True))
    second = store.add_opinion(
        made.id, Opinion("dr-b", False, "other", "no lesion", None, "1999-01-01T00:00:00.000+00:00")
    )
    assert store.list_opinions(made.id) == [first, second]
    assert NOW.isoformat() <= second.time
    store.add_view(made.id, "dr-a")
    store.add_view(made.id, "dr-a")
    assert [type(each) for each in store.list_views(made.id)] == [View, View]


@pytest.mark.parametrize(
    "opinion",
    [
        Opinion("dr", False),
        Opinion("dr", False, "wart"),
        Opinion("dr", True, "melanoma"),
        Opinion("", True),
        Opinion("x" * 101, True),
        Opinion("dr", True, reason="x" * 2001),
        Opinion("dr", True, confirmed_by="a feeling"),
    ],
)
def test_an_invalid_opinion_is_refused(store: Store, opinion: Opinion) -> None:
    made = save_one(store)
    with pytest.raises(Refused) as caught:
        store.add_opinion(made.id, opinion)
    assert caught.value.status == 400
    assert store.list_opinions(made.id) == []


def test_traces_are_erased_after_a_crash(home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    target = save_one(store, 1, "r")
    encrypted = encrypted_bytes(home, store, target.id)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(store._vault.files), "remove", die)
    with pytest.raises(KeyboardInterrupt):
        store.forget(target.id)
    monkeypatch.undo()
    assert remains(home, encrypted)
    open_store(home).close()
    assert remains(home, encrypted) == []


def test_quarantined_objects_are_encrypted_listed_deleted_and_expire(
    home: Home, store: Store, tmp_path: Path
) -> None:
    data = b"DICM" + b"OBERMOSER WILHELMINE" * 50
    first = store.quarantine(data, "burned-in-annotation", "camera-1")
    second = store.quarantine(data, "burned-in-annotation", "camera-2")
    assert b"OBERMOSER" not in all_bytes(home.store)
    listed = store.list_quarantined()
    assert [(each.id, each.device, each.why) for each in listed] == [
        (first, "camera-1", "burned-in-annotation"),
        (second, "camera-2", "burned-in-annotation"),
    ]
    assert store.load_quarantined(first) == data
    with open_store(home):
        assert store.load_quarantined(first) == data  # no orphan
    with pytest.raises(Refused) as caught:
        store.load(first)
    assert caught.value.status == 404
    store.delete_quarantined(first)
    for ask in (store.delete_quarantined, store.load_quarantined):
        with pytest.raises(Refused, match="no such object"):
            ask(first)
    assert store.expire(datetime.now(UTC) + timedelta(31)) == 1
    assert store.list_quarantined() == []
    assert not list((home.store / "files").iterdir())


def test_no_copy_stays_where_rows_were_moved(tmp_path: Path) -> None:
    """SQLite moves rows from page to page and leaves copies; of these rows, two without VACUUM."""
    vault, draw = open_vault(tmp_path / "store"), random.Random(7)
    rows = {draw.randbytes(16).hex(): draw.randbytes(draw.randrange(100, 1500)) for _ in range(2000)}
    with vault.database.writing() as db:
        for id, content in rows.items():
            values = (id, draw.randrange(10**9), content)
            db.execute("INSERT INTO diagnoses (id, made, device, content) VALUES (?, ?, 'camera', ?)", values)
    gone = set(draw.sample(sorted(rows), 1000))
    forget(vault, *gone)
    on_disk = all_bytes(tmp_path)
    assert {id for id, content in rows.items() if content[:24] in on_disk} == rows.keys() - gone
