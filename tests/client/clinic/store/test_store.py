"""What is saved is loaded again, once for each request, and nothing else of the file that came."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.diagnoses import encode_photograph
from dermafed.client.clinic.store.encryption import EncryptedFiles
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.clinic.store.vault import open_vault
from dermafed.client.node.home import Home
from dermafed.shared.imaging.decoding import decode_image
from tests.client.clinic.store.samples import HEADERS, diagnosis, noise, prepared, received, save_one


def test_what_is_saved_is_loaded_again(store: Store, home: Home) -> None:
    of = received(1)
    rate = MissRate(0.05, 0.01, 0.17, 40, "At most 10 % of melanomas are missed")
    alert = {"alert": False, "alert_threshold": 0.31, "miss_rate": rate, "possible": ("nevus",)}
    made = diagnosis(of, "r-1", outside_score=0.1 + 0.2, **alert)
    assert store.save(made, of, prepared(1)) == made
    for each in (store, open_store(home)):
        assert each.load(made.id) == made
        assert each.find_request("camera-1", "r-1") == made
        np.testing.assert_array_equal(each.load_prepared(made.id), prepared(1))
        assert each.load_reference(made.id) == HEADERS
    assert store.find_request("camera-2", "r-1") is None
    assert store.find_request("camera-1", "r-2") is None


def test_a_photograph_comes_back_as_a_jpeg_of_quality_95_without_subsampling(store: Store) -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    image = np.stack(
        [np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.full((48, 64), 90, np.uint8)], 2
    )
    of = received(2, image=image)
    made = store.save(diagnosis(of), of, prepared())
    back = store.load_image(made.id)
    assert back.shape == (48, 64, 3)
    assert np.abs(back.astype(int) - image).max() <= 4
    with Image.open(io.BytesIO(encode_photograph(image))) as jpeg:
        assert jpeg.format == "JPEG"
        tables = jpeg.quantization  # type: ignore[attr-defined]
        # IJG's scaling of its first luminance entry: (16 * (200 - 2 * 95) + 50) // 100
        assert tables[0][0] == 2
        assert [layer[1:3] for layer in jpeg.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_an_image_too_long_for_a_jpeg_is_saved_without_loss(store: Store) -> None:
    of = received(3, image=noise(3, 1, 70_000))
    made = store.save(diagnosis(of), of, prepared())
    np.testing.assert_array_equal(store.load_image(made.id), of.image)


def test_nothing_else_of_the_received_file_is_stored(home: Home, store: Store) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Wilhelmine Obermoser"  # ImageDescription
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    file = io.BytesIO()
    Image.fromarray(noise(4, 64, 64)).save(
        file, "JPEG", exif=exif, comment=b"born 1954-03-12", icc_profile=b"profile of the clinic's camera"
    )
    data = file.getvalue()
    assert b"Obermoser" in data
    assert b"born 1954" in data
    of = received(4, image=decode_image(data))
    made = store.save(diagnosis(of), of, prepared(4))
    vault = open_vault(home.store)
    for kind in ("image", "prepared"):
        stored = vault.files.read(made.id, kind)
        assert not any(text in stored for text in (b"Obermoser", b"born", b"profile", b"Exif", b"GPS"))
        with Image.open(io.BytesIO(stored)) as image:
            assert not image.getexif()
            assert not {"comment", "exif", "icc_profile"} & image.info.keys()


def test_threads_with_one_request_get_one_diagnosis(store: Store) -> None:
    of = received(5)
    made = [diagnosis(of, "same") for _ in range(16)]
    ready = threading.Barrier(8)

    def save(each: Diagnosis) -> Diagnosis:
        ready.wait()
        return store.save(each, of, prepared(5))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(save, made))
    assert len({answer.id for answer in answers}) == 1
    assert answers[0] in made
    today = date.fromtimestamp(time.time())
    assert [each.id for each in store.list_day(today)] == [answers[0].id]


def test_the_same_diagnosis_twice_is_one(store: Store) -> None:
    of = received(6)
    made = diagnosis(of)
    assert store.save(made, of, prepared(6)) == store.save(made, of, prepared(6)) == made
    np.testing.assert_array_equal(store.load_prepared(made.id), prepared(6))


def test_another_device_may_use_the_same_name(store: Store) -> None:
    first, second = save_one(store, 7, "r"), save_one(store, 8, "r", device="camera-2")
    assert first.id != second.id
    assert store.find_request("camera-2", "r") == second


def test_a_day_is_the_clinics_own_even_when_the_clock_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    try:
        # On 29 March 2026 Vienna goes from UTC+1 to UTC+2: its day is 23 hours long.
        times = ["2026-03-28T22:59:59.999", "2026-03-28T23:00:00.000", "2026-03-29T21:59:59.999"]
        times.append("2026-03-29T22:00:00.000")
        ids = [save_one(store, n, time=f"{text}+00:00").id for n, text in enumerate(times)]
        found = {day: [each.id for each in store.list_day(date(2026, 3, day))] for day in (28, 29, 30)}
        assert found == {28: [ids[0]], 29: [ids[2], ids[1]], 30: [ids[3]]}
        assert [each.id for each in store.list_day(date(2026, 3, 29), limit=1, skip=1)] == [ids[1]]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_unknown_id_is_refused(store: Store) -> None:
    for ask in (
        store.load,
        store.load_prepared,
        store.load_image,
        store.load_reference,
        store.list_opinions,
        store.list_views,
        store.forget,
    ):
        for id in ("0" * 32, "../../key", ""):
            with pytest.raises(Refused, match="no such diagnosis") as caught:
                ask(id)
            assert caught.value.status == 404


def test_only_the_owner_can_read_a_store(home: Home, store: Store) -> None:
    save_one(store)
    paths = [home.store, *home.store.rglob("*")]
    assert len(paths) > 5
    assert {path: oct(path.stat().st_mode & 0o077) for path in paths if path.name != ".lock"} == {
        path: "0o0" for path in paths if path.name != ".lock"
    }


def test_retention_is_at_least_a_day(home: Home, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="for at least a day"):
        open_store(home, 0)


def test_opening_and_forgetting_beside_a_store_in_use_lose_nothing(home: Home, store: Store) -> None:
    """Other processes clean and rewrite the store during a save: only files without a row may go."""
    stop = threading.Event()
    made: list[Diagnosis] = []

    def save_on() -> None:
        while not stop.is_set():
            made.append(save_one(store, len(made)))
            time.sleep(0.002)  # or nobody else would get a turn: SQLite has no queue

    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save_on)
        for number in range(500):
            with open_store(home, 30) as other:
                other.forget(save_one(other, 10_000 + number).id)
            if number >= 19 and len(made) > 5:  # on a busy machine the saves come slowly
                break
        stop.set()
    saving.result()
    assert len(made) > 5
    for seed, each in enumerate(made):
        np.testing.assert_array_equal(store.load_prepared(each.id), prepared(seed))


def test_opening_a_store_waits_for_a_save_in_progress(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the files and the row, a diagnosis looks like the leftovers of a crash."""
    written, write = threading.Event(), EncryptedFiles.write

    def write_slowly(files: EncryptedFiles, id: str, parts: Mapping[str, bytes]) -> None:
        write(files, id, parts)
        written.set()
        time.sleep(0.5)

    monkeypatch.setattr(EncryptedFiles, "write", write_slowly)
    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save_one, store)
        assert written.wait(60)
        open_store(home, 30).close()
        np.testing.assert_array_equal(store.load_prepared(saving.result().id), prepared())
