"""Write a clinic's synthetic lesions as a tar archive to stdout: ``python lesions.py 0`` for the first."""

import io
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset

number = int(sys.argv[1])
profile = replace(DEFAULT_CLINICS[number], images=60)
with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch) / "set"
    generate_dataset(folder, profiles=[profile], seed=number, image_size=96)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("metadata.csv", "images"):
            tar.add(folder / name, name)
sys.stdout.buffer.write(archive.getvalue())
