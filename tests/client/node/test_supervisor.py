"""The running node of a clinic: a real SuperNode, a worker, and a server over TLS on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message

from dermafed.client.node.audit import read_log
from dermafed.client.node.health import read_status
from dermafed.client.node.home import Home
from dermafed.client.node.offers import Offers
from dermafed.client.node.supervisor import _Node, run_node
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Decision,
    Reason,
    decode_answer,
    decode_ready,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.messages import Refusal, decode_evaluation, decode_update, encode_instruction
from dermafed.shared.protocol.node_key import read_public_key
from tests.client.certificates import Certificate, certificate
from tests.client.planted_clinic import FILE, PATIENT, clinic, data_set, joined, offer
from tests.client.superlink import SuperLink, superlink
from tests.paths import ROOT

pytestmark = pytest.mark.journey

WEIGHTS = np.arange(5, dtype=np.float32)


@dataclass
class Node:
    """A running node, and its server."""

    home: Home
    process: subprocess.Popen[bytes]
    server: SuperLink
    number: int

    def ask(self, kind: str, content: object, group: str = "") -> Message:
        return self.server.ask(self.number, kind, content, group)  # type: ignore[arg-type]

    def train(self, round: int = 1, **config: float) -> Message:
        return self.ask("train", encode_instruction(WEIGHTS, round, config), str(round))


def until(what: Callable[[], object], seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(home: Home) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from pathlib import Path; from dermafed.client.node.home import open_home; "
        "from dermafed.client.node.supervisor import _Node, run_node; "
        "run_node(open_home(Path(sys.argv[1])), lambda line: print(line, flush=True), "
        "('-m', 'tests.client.small_worker'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = (home.folder / "output").open("wb")
    return subprocess.Popen([sys.executable, "-c", code, str(home.folder)], env=environment, stdout=output)


@pytest.mark.parametrize(("own", "used"), [("", "glibc.malloc.hugetlb=1"), ("a.b=1", "a.b=1")])
def test_its_processes_take_huge_pages_unless_the_user_has_settings_of_glibc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, used: str
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    home, made = clinic(tmp_path / "graz", tmp_path), certificate(tmp_path / "trust")
    joined(home, "localhost:1", made.ca)
    node = _Node.of(home, print, ())
    for child in (node.supernode, node.worker):
        assert child.environment["GLIBC_TUNABLES"] == used


def processes_of(home: Home) -> list[int]:
    """Every process with the clinic's folder on its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(home.folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def worker_of(home: Home) -> int:
    (worker,) = [
        number
        for number in processes_of(home)
        if b"small_worker" in Path(f"/proc/{number}/cmdline").read_bytes()
        and b"-m" in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[2:3]
    ]
    return worker


@pytest.fixture(scope="module")
def server_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("trust"))


@pytest.fixture
def node(tmp_path: Path, server_certificates: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    home = clinic(tmp_path / "graz", data_set(tmp_path / "data"))
    with superlink(tmp_path, server_certificates) as server:
        joined(home, server.address, server_certificates.ca)
        number = server.enrol(read_public_key(home.public_key), "graz")
        process = start(home)
        try:
            until(lambda: (status := read_status(home.node)) is not None and status.ready)
            yield Node(home, process, server, number)
        finally:
            process.terminate()
            process.wait(40)
            assert not processes_of(home)


def approve(node: Node) -> None:
    """The plan comes, a person approves it, the run is prepared."""
    text = offer().to_text()
    first = decode_answer(node.ask(OFFER_QUERY, encode_offer(text)).content, 2)
    assert (first.decision, first.reason) == (Decision.WAITING, Reason.ASKS_A_PERSON)
    Offers(node.home.offers).decide(offer().hash, Decision.APPROVED)
    second = decode_answer(node.ask(OFFER_QUERY, encode_offer(text)).content, 2)
    assert second.decision is Decision.APPROVED
    assert second.class_counts is not None
    assert second.class_counts.tolist() == [7, 7]  # 70 % of 10 images of each class
    assert decode_ready(node.ask(PREPARE_QUERY, encode_counts([20, 30])).content) > 0


@pytest.mark.parametrize("call", ["pull-object", "confirm-message-received"])
def test_a_run_that_ends_while_its_message_comes_does_not_block_the_node(node: Node, call: str) -> None:
    approve(node)
    node.server.run_ends_at = call
    node.server.send(node.number, "train", encode_instruction(WEIGHTS, 1, {"seconds": 3}), "1")
    until(lambda: "has ended" in (node.home.node / "supernode.log").read_text("utf-8"))
    node.server.run_ends_at = ""
    worker = worker_of(node.home)
    update, _ = decode_update(node.train(2).content, 5)
    np.testing.assert_array_equal(update.weights, WEIGHTS + 1)
    assert worker_of(node.home) == worker


def test_a_run_from_offer_to_evaluation(node: Node) -> None:
    refused = node.train()
    assert (refused.error.code, refused.error.reason) == (Refusal.NOT_APPROVED, "NotApproved")
    approve(node)
    update, _ = decode_update(node.train().content, 5)
    np.testing.assert_array_equal(update.weights, WEIGHTS + 1)
    evaluation, _ = decode_evaluation(node.ask("evaluate", encode_instruction(WEIGHTS, 1, {})).content, 2)
    assert evaluation.confusion.tolist() == [[1, 0], [0, 1]]
    failed = node.ask("train", encode_instruction(WEIGHTS, 2, {"fail": 1}))
    assert (failed.error.code, failed.error.reason) == (Refusal.TRAINING_FAILED, "ValueError")
    kinds = [line.entry.kind for line in read_log(node.home.audit)]
    assert kinds == [
        "train error 1004",
        *("query.offer", "query.offer", "query.prepare", "train", "evaluate"),
        "train error 1001",
    ]
    _assert_no_secret(node)
    _assert_every_other_process_goes_first(node)
    _assert_only_one(node)
    _assert_no_orphan(node)


def _assert_every_other_process_goes_first(node: Node) -> None:
    assert os.getpriority(os.PRIO_PROCESS, worker_of(node.home)) == 19


def _assert_only_one(node: Node) -> None:
    with pytest.raises(SettingsError, match="Another process"):
        run_node(node.home, print)


def _assert_no_orphan(node: Node) -> None:
    assert len(processes_of(node.home)) == 3
    node.process.kill()
    until(lambda: not processes_of(node.home), 15)
    node.process.wait()
    status = read_status(node.home.node)
    assert status is not None
    assert not status.running


def _assert_no_secret(node: Node) -> None:
    """Names and pixels of the clinic's data are in nothing that the server has."""
    import cv2

    sent = b"".join(node.server.captured)
    database = b"".join(path.read_bytes() for path in node.home.folder.parent.glob("flower.db*"))
    assert len(sent) > 1000
    for text in (PATIENT, FILE, "Jane Doe", "data/", str(node.home.folder)):
        assert text.encode() not in sent + database
    for path in (node.home.folder.parent / "data").glob("*.png"):
        pixels = cv2.imread(str(path))
        for row in (pixels[0], pixels[20], pixels[20, :, ::-1]):
            assert row.tobytes()[:24] not in sent + database
            assert row[:8].astype(np.float32).tobytes() not in sent + database


@pytest.mark.slow
def test_a_task_survives_one_death_of_its_worker(node: Node) -> None:
    approve(node)
    number = _kill_worker_over_a_task(node)
    update, _ = decode_update(node.server.reply(number).content, 5)
    np.testing.assert_array_equal(update.weights, WEIGHTS + 1)


@pytest.mark.slow
def test_a_task_that_kills_two_workers_is_not_tried_again(node: Node) -> None:
    approve(node)
    number = _kill_worker_over_a_task(node)
    until(lambda: json.loads((node.home.node / "task.json").read_text())["again"])
    os.kill(worker_of(node.home), signal.SIGKILL)
    reply = node.server.reply(number)
    assert (reply.error.code, reply.error.reason) == (Refusal.INTERRUPTED, "Interrupted")
    assert decode_update(node.train().content, 5)[0].weight == 7


def _kill_worker_over_a_task(node: Node) -> str:
    number = node.server.send(node.number, "train", encode_instruction(WEIGHTS, 1, {"seconds": 3}), "1")
    until((node.home.node / "task.json").exists)
    os.kill(worker_of(node.home), signal.SIGKILL)
    return number


@pytest.mark.slow
def test_half_a_reply_restarts_the_supernode(node: Node) -> None:
    approve(node)
    before = {number for number in processes_of(node.home) if number != node.process.pid}
    (node.home.node / "pushing.json").write_text("{}")  # as a worker leaves it that dies while it pushes
    os.kill(worker_of(node.home), signal.SIGKILL)
    until(lambda: len(processes_of(node.home)) == 3 and not before & set(processes_of(node.home)))
    until(lambda: (status := read_status(node.home.node)) is not None and status.ready)
    assert decode_update(node.train().content, 5)[0].weight == 7


@pytest.mark.slow
def test_a_stopped_node_answers_and_goes_offline(node: Node) -> None:
    approve(node)
    number = node.server.send(node.number, "train", encode_instruction(WEIGHTS, 1, {"seconds": 60}), "1")
    until((node.home.node / "task.json").exists)
    node.process.send_signal(signal.SIGINT)
    assert node.server.reply(number).error.code == Refusal.INTERRUPTED
    assert node.process.wait(30) == 0
    assert not processes_of(node.home)
    info = node.server.state.get_node_info(node_ids=[node.number])
    assert [each.status for each in info] == ["offline"]


@pytest.mark.slow
def test_a_revoked_key_is_named(node: Node) -> None:
    node.server.remove(node.number)

    def revoked() -> bool:
        status = read_status(node.home.node)
        return status is not None and "unknown or revoked" in status.cause

    until(revoked)
