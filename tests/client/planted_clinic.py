"""A clinic for tests: its folder, and data with planted secrets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from dermafed.client.node.home import Home, make_home, pin_server
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.certificates import certificate_fingerprint, read_ca
from dermafed.shared.protocol.invitation import Invitation
from dermafed.shared.protocol.node_key import fingerprint, read_public_key
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.recipe import Recipe

PATIENT = "Wilhelmine Obermoser"
FILE = "obermoser_w_19540312"
CLASSES = ("melanoma", "nevus")
OFFER = Offer(
    name="first",
    model=ModelSettings(classes=CLASSES, image_size=32),
    preprocess=PreprocessSettings(image_size=32, denoise="none", clahe=False, clahe_grid=4),
    recipe=Recipe(epochs=0.25),
    rounds=3,
)


def offer(**changes: object) -> Offer:
    return replace(OFFER, **changes)  # type: ignore[arg-type]


def data_set(folder: Path, images: int = 20) -> Path:
    """Noise images of two classes; file names, patients and pixels are the secrets."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(7)
    lines = ["image_id,diagnosis,patient_id,lesion_id"]
    for number in range(images):
        name = f"{FILE}_{number}"
        cv2.imwrite(str(folder / f"{name}.png"), random.integers(0, 256, (40, 40, 3), np.uint8))
        lines.append(f"{name},{CLASSES[number % 2]},{PATIENT} {number},{name}-lesion")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def clinic(folder: Path, data: Path, name: str = "graz", **settings: str) -> Home:
    """A clinic's folder; settings replace those of its file, as TOML."""
    home = make_home(folder, name, data)
    text = home.settings_file.read_text()
    for key, value in settings.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    home.settings_file.write_text(text)
    return home


def joined(home: Home, address: str, ca: Path) -> Home:
    """The clinic, once it trusts the server."""
    pem = ca.read_text()
    key = fingerprint(read_public_key(home.public_key))
    name = home.folder.name
    authority = certificate_fingerprint(read_ca(pem))
    with suppress(FileNotFoundError):
        home.server_file.unlink()
    pin_server(home, Invitation("alps", address, name, key, pem, authority))
    return home
