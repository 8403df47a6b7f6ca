"""The private names of Flower that the engines use, and what they use them for.

An update of Flower that moves or changes one of these fails here, not in a run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from flwr.app import Message, MessageType, RecordDict

from simulation.engines import flower_internals
from simulation.engines.flower_internals import SERVER_NODE, NodeInfo, Run, become_server_task

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {"flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.simulation"}


def test_a_message_can_be_made_in_this_process() -> None:
    become_server_task()
    message = Message(RecordDict(), 1000, MessageType.TRAIN)
    assert message.metadata.src_node_id == SERVER_NODE
    assert message.metadata.dst_node_id == 1000


def test_a_node_has_an_id_and_a_name() -> None:
    node = NodeInfo(node_id=7, name="graz")
    assert (node.node_id, node.name) == (7, "graz")
    assert NodeInfo(node_id=7).name == ""


def test_a_run_can_be_made() -> None:
    assert Run.create_empty(run_id=3).run_id == 3


def test_no_other_module_imports_private_names() -> None:
    adapters = {Path(flower_internals.__file__), ROOT / "client" / "flower_internals.py"}
    for package in ("shared", "server", "client", "simulation"):
        for path in (ROOT / package).rglob("*.py"):
            imported = set(re.findall(r"^\s*(?:from|import) (flwr[\w.]*)", path.read_text(), re.MULTILINE))
            assert path in adapters or imported <= PUBLIC, path


def test_flower_is_told_to_stay_offline_before_it_is_imported() -> None:
    code = (
        "import server.app, client.app, simulation.engines.local; "
        "import flwr.supercore.telemetry as telemetry, flwr.supercore.logger as logger; "
        "assert telemetry.FLWR_TELEMETRY_ENABLED == '0'; assert logger.console_handler.level == 40"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLWR_", "RAY_"))}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, check=True, timeout=60)
