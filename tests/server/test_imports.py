"""The server's process loads no Keras and no OpenCV: commands answer at once, and it needs little memory."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import dermafed.server.coordinator.server_process, dermafed.server.coordinator.plan_file
print(*({"keras", "tensorflow", "numba", "cv2", "matplotlib"} & sys.modules.keys()))
"""


def test_plans_and_rounds_load_no_keras() -> None:
    found = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert not found.stdout.strip()
