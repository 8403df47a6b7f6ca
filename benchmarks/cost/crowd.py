"""One real server over TLS and a crowd of light nodes with real keys: what a run costs besides training."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cost.loopback import loopback_seconds
from benchmarks.cost.ours import PLAN, light_nodes
from benchmarks.cost.usage import cpu_percent, cpu_seconds, peak_mb
from dermafed.client.cli import app as fl_client
from dermafed.client.node.home import make_home
from dermafed.server.cli import app as fl_server
from dermafed.server.coordinator.federation_folder import RECORD, RUNS, TRUST, load_settings
from dermafed.server.coordinator.plan_file import request_run
from dermafed.server.record.clinics_table import enrol, list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_rounds
from dermafed.server.record.runs_table import ACTIVE, Run, Status, find_run
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.shared.protocol.certificates import SERVER_CERTIFICATE, SERVER_KEY
from dermafed.shared.protocol.node_key import read_public_key
from tests.commands.small_datasets import draw_dataset
from tests.faults.federation import typed
from tests.journeys.whole_run import WholeRun
from tests.ports import free_port

RUN = "crowd"
NODE = "clinic000"
"""The clinic whose whole node is measured before the light nodes come."""

_NODES_OF_A_PROCESS = 50
_IDLE_SECONDS = 20.0
_SETTLE_SECONDS = 12.0  # of a node, after it was started


@dataclass(frozen=True)
class Crowd:
    """A server and its clinics.

    Attributes:
        run: their folders and processes.
        clinics: their number.
        late: how many of them take time to train.
        late_seconds: how long these take.
        megabytes: the model's size.
    """

    run: WholeRun
    clinics: int
    late: int
    late_seconds: float
    megabytes: float

    def measure(self, rounds: int) -> dict[str, Any]:
        """Idle server and node, agreement, rounds, memory.

        Raises:
            AssertionError: a clinic was lost or refused, or the run did not finish.
        """
        found: dict[str, Any] = {"clinics": self.clinics, "megabytes": self.megabytes}
        keys = self._make()
        self.run.start_server()
        for part in (
            lambda: self._idle_with_all(keys),
            lambda: self._rounds(rounds),
            lambda: {"server_peak_mb": peak_mb(self._server)},
            self._idle_with_one_node,
        ):
            found |= part()
            print(found, file=sys.stderr, flush=True)
        return found

    @property
    def _server(self) -> int:
        return self.run.processes["server"].pid

    @property
    def _record(self) -> Record:
        return Record(self.run.server / RECORD)

    def _make(self) -> list[Path]:
        """The folders of the server and of all clinics; returns the path of each clinic's key."""
        run, keys = self.run, []
        run.server_side.mkdir(parents=True)
        typed(fl_server, "init", run.server, "--host", "localhost", "--port", free_port())
        data, home, invitation = (
            draw_dataset(run.folder / "data", ("all",)),
            run.home(NODE),
            run.folder / "in",
        )
        typed(fl_client, "init", home, "--clinic", NODE, "--data", data)
        typed(fl_server, "enrol", NODE, home / "key.pub", "--out", invitation, "--dir", run.server)
        typed(fl_client, "join", invitation, "--dir", home)
        for number in range(1, self.clinics):
            name = f"clinic{number:03d}"
            home = make_home(run.home(name), name, run.folder)
            enrol(self._record, name, read_public_key(home.public_key))
            keys.append(home.key)
        return [run.home(NODE) / "key", *keys]

    def _idle_with_one_node(self) -> dict[str, float]:
        run, home = self.run, self.run.home(NODE)
        for name in [name for name in run.processes if name.startswith("nodes")]:
            run.stop(name)
        command = (sys.executable, "-m", "benchmarks.cost.idle_node", str(home))
        run.start(NODE, home.parent / "node.log", *command)
        log = home / "node" / "supernode.log"
        run.wait_until(lambda: log.exists() and "SuperNode ID" in log.read_text())
        time.sleep(_SETTLE_SECONDS)
        node, server = cpu_percent((run.processes[NODE].pid, self._server), _IDLE_SECONDS)
        run.stop(NODE)
        return {"idle_node_percent": node, "idle_server_percent_with_one": server}

    def _idle_with_all(self, keys: Sequence[Path]) -> dict[str, float]:
        run = self.run
        address, ca = f"localhost:{self._port()}", run.server / TRUST / "ca.pem"
        groups = [(self.late_seconds, keys[: self.late])]
        rest = keys[self.late :]
        for start in range(0, len(rest), _NODES_OF_A_PROCESS):
            groups.append((0.0, rest[start : start + _NODES_OF_A_PROCESS]))
        for number, (seconds, members) in enumerate(groups):
            if members:
                run.start(
                    f"nodes{number}",
                    run.server_side / f"nodes{number}.log",
                    *light_nodes(address, ca, members, seconds),
                )
        run.wait_until(lambda: self._online() == self.clinics)
        time.sleep(_SETTLE_SECONDS)
        (server,) = cpu_percent((self._server,), _IDLE_SECONDS)
        return {"idle_server_percent_with_all": server}

    def _rounds(self, rounds: int) -> dict[str, Any]:
        run, text = self.run, PLAN.format(name=RUN, rounds=rounds, clinics=self.clinics)
        plan = run.server_side / "plan.toml"
        plan.write_text(text)
        start, used = time.monotonic(), cpu_seconds(self._server)
        asked, _ = request_run(self._record, plan)
        self._save_first_weights(asked)
        run.wait_until(lambda: self._run().status not in (Status.ASKED, Status.AGREEING), pause=0.05)
        agreed, used_to_agree = time.monotonic() - start, cpu_seconds(self._server) - used
        run.wait_until(lambda: self._run().status not in ACTIVE, pause=0.5)
        used_for_rounds = cpu_seconds(self._server) - used - used_to_agree
        last, rows = self._run(), list_rounds(self._record, asked.number)
        assert (last.status, len(rows)) == (Status.FINISHED, rounds), last
        assert all(row["replied"] == self.clinics for row in rows), "a clinic was lost"
        timed = [float(row["seconds"]) for row in rows[1:]]
        seconds, trust = sum(timed) / len(timed), run.server / TRUST
        bytes_alone = loopback_seconds(
            trust / SERVER_CERTIFICATE, trust / SERVER_KEY, 2 * self.clinics * self.megabytes
        )
        expected = bytes_alone + self.late_seconds
        return {
            "seconds_to_the_agreement": agreed,
            "server_cpu_seconds_to_the_agreement": used_to_agree,
            "seconds_a_round": seconds,
            "server_cpu_seconds_a_round": used_for_rounds / rounds,
            "seconds_of_stragglers": self.late_seconds,
            "seconds_of_the_bytes_alone": bytes_alone,
            "round_over_bytes": seconds / expected,
        }

    def _save_first_weights(self, run: Run) -> None:
        """A model of the wanted size, before the server builds the plan's."""
        folder = self.run.server / RUNS / run.folder_name
        folder.mkdir(parents=True, exist_ok=True)
        weights = np.random.default_rng(0).normal(size=round(self.megabytes * 250_000)).astype(np.float32)
        np.savez(folder / START_FILE, weights=weights, adapted=np.ones(weights.size, bool), origin="none")

    def _run(self) -> Run:
        return find_run(self._record, RUN)

    def _online(self) -> int:
        return sum(clinic.online is not None for clinic in list_clinics(self._record))

    def _port(self) -> int:
        return load_settings(self.run.server).port
