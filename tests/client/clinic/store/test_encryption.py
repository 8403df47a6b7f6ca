"""Who has the disk but not the key learns nothing, and whoever changes a file is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.client.clinic.store.encryption import DecryptionError, StoreCipher
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.clinic.store.vault import open_vault
from dermafed.client.node.home import Home
from dermafed.shared.errors import StorageError
from tests.client.clinic.store.samples import all_bytes, noise, save_one

KEY = bytes(range(32))
places = st.lists(st.text(max_size=8), max_size=3).map(tuple)


@given(data=st.binary(max_size=200), place=places, other=places, at=st.integers(0), bit=st.integers(0, 7))
def test_encrypted_bytes_decrypt_only_in_their_context(
    data: bytes, place: tuple[str, ...], other: tuple[str, ...], at: int, bit: int
) -> None:
    encrypted = StoreCipher(KEY).encrypt(data, *place)
    assert StoreCipher(KEY).decrypt(encrypted, *place) == data
    changed = bytearray(encrypted)
    changed[at % len(encrypted)] ^= 1 << bit
    wrong = [
        (KEY, bytes(changed), place),
        (KEY[::-1], encrypted, place),
        (KEY, encrypted[:-1], place),
        (KEY, b"", place),
    ]
    if other != place:
        wrong.append((KEY, encrypted, other))
    for key, text, where in wrong:
        with pytest.raises(DecryptionError):
            StoreCipher(key).decrypt(text, *where)


def test_the_cipher_is_aes_gcm_under_a_key_derived_by_hkdf() -> None:
    """By the hmac module and plain AES in counter mode: RFC 5869 of one block; GCM's counter starts at 2."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    extracted = hmac.digest(bytes(32), KEY, hashlib.sha256)
    derived = hmac.digest(extracted, b"dermafed store seal\x01", hashlib.sha256)
    encrypted = StoreCipher(KEY).encrypt(b"sixteen bytes ok", "image", "7f")
    counter = modes.CTR(encrypted[:12] + (2).to_bytes(4, "big"))
    plain = Cipher(algorithms.AES(derived), counter).decryptor().update(encrypted[12:-16])
    assert plain == b"sixteen bytes ok"


def test_nothing_can_be_read_without_the_key(home: Home, store: Store) -> None:
    made = save_one(store, 1, "1.2.840.4711")
    store.add_opinion(made.id, Opinion("dr-huber", False, "melanoma", "Obermoser's second", "histopathology"))
    store.add_view(made.id, "dr-huber")
    content = all_bytes(home.store)
    secrets = (
        b"Obermoser",
        b"left forearm",
        b"nevus",
        b"melanoma",
        b"1.2.840.4711",
        b"histopathology",
        b"dr-huber",
    )
    assert [text for text in secrets if text in content] == []
    assert noise(1).tobytes()[:64] not in content
    assert b"\xff\xd8\xff" not in b"".join(path.read_bytes()[:64] for path in home.store.rglob("*.image"))
    assert made.image_sha256.encode() not in content


def swap(first: Path, second: Path) -> None:
    between = first.with_suffix(".between")
    first.rename(between)
    second.rename(first)
    between.rename(second)


@pytest.mark.parametrize("kinds", [("image", "image"), ("image", "prepared")])
def test_swapped_files_are_detected(home: Home, store: Store, kinds: tuple[str, str]) -> None:
    first = save_one(store, 1).id
    second = first if kinds[0] != kinds[1] else save_one(store, 2).id
    swap(home.store / "files" / f"{first}.{kinds[0]}", home.store / "files" / f"{second}.{kinds[1]}")
    with pytest.raises(StorageError, match="damaged, or is the file of another id"):
        store.load_image(first)


def test_swapped_rows_are_detected(store: Store) -> None:
    first, second = save_one(store, 1), save_one(store, 2)
    with store._vault.database.writing() as db:
        (content,) = db.execute("SELECT content FROM diagnoses WHERE id = ?", (second.id,)).fetchone()
        db.execute("UPDATE diagnoses SET content = ? WHERE id = ?", (content, first.id))
    assert store.load(second.id) == second
    with pytest.raises(StorageError, match="was changed, or is damaged"):
        store.load(first.id)


def test_a_missing_file_is_named(home: Home, store: Store) -> None:
    made = save_one(store)
    (home.store / "files" / f"{made.id}.prepared").unlink()
    assert store.load(made.id) == made
    with pytest.raises(StorageError, match="is missing"):
        store.load_prepared(made.id)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda key: key.unlink(), "key is missing"),
        (lambda key: key.write_text("00" * 32), "not the key of this store"),
        (lambda key: key.write_text("00" * 31), "key is damaged"),
        (lambda key: key.write_bytes(b"\xff" * 64), "key is damaged"),
        (lambda key: key.write_bytes(b""), "key is damaged"),
        (lambda key: key.chmod(0o644), "Others may read this"),
    ],
)
def test_a_wrong_key_is_refused_and_nothing_changes(
    home: Home, store: Store, harm: object, message: str
) -> None:
    made = save_one(store)
    store.close()
    key = home.store / "store.key"
    backup = shutil.copy2(key, home.folder / "backup.key")
    harm(key)  # type: ignore[operator]
    before = key.read_bytes() if key.exists() else None
    files = {path: path.read_bytes() for path in (home.store / "files").iterdir()}
    with pytest.raises(StorageError, match=message) as caught:
        open_store(home, 30)
    assert caught.value.remedy
    assert "00" * 8 not in str(caught.value)
    assert (key.read_bytes() if key.exists() else None) == before
    assert {path: path.read_bytes() for path in (home.store / "files").iterdir()} == files
    key.unlink(missing_ok=True)
    shutil.copy2(backup, key)
    with open_store(home, 30) as restored:
        assert restored.load(made.id) == made


def test_a_missing_database_is_named_and_the_images_stay(home: Home, store: Store) -> None:
    made = save_one(store)
    store.close()
    (home.store / "store.sqlite").unlink()
    with pytest.raises(StorageError, match="database is missing"):
        open_store(home, 30)
    assert (home.store / "files" / f"{made.id}.image").exists()


def test_a_restored_backup_of_a_store_in_use_can_be_read(home: Home, store: Store, tmp_path: Path) -> None:
    made = save_one(store)
    copy = Home(tmp_path / "copy")
    store.close()
    shutil.copytree(home.store, copy.store)
    assert open_vault(copy.store).cipher.key == open_vault(home.store).cipher.key
    with open_store(copy, 30) as restored:
        assert restored.load(made.id) == made
