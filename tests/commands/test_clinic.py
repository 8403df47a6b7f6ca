"""``fl-client``'s commands of a clinic in a federation, as a person types them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dermafed.client.cli import app
from dermafed.client.node import supervisor
from dermafed.client.node.audit import Entry, append_entry
from dermafed.client.node.connection import Check
from dermafed.client.node.health import NodeStatus, read_status, write_status
from dermafed.client.node.home import Home, pin_server
from dermafed.client.node.offers import Offers
from dermafed.client.node.saved_models import save_last_model
from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.certificates import certificate_fingerprint, read_ca
from dermafed.shared.protocol.invitation import Invitation, write_invitation
from dermafed.shared.protocol.node_key import fingerprint, read_public_key
from dermafed.shared.storage.lock import lock_folder
from tests.client.certificates import certificate
from tests.client.planted_clinic import CLASSES, OFFER


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DermaFedError):
        raise result.exception
    return result


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "graz"
    result = run("init", folder, "--clinic", "graz", "--data", tmp_path)
    assert result.exit_code == 0
    assert str(folder / "key.pub") in result.stdout
    return Home(folder)


def asked_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_joining_shows_what_to_compare(home: Home, tmp_path: Path) -> None:
    pem = certificate(tmp_path / "trust").ca.read_text()
    key, authority = fingerprint(read_public_key(home.public_key)), certificate_fingerprint(read_ca(pem))
    write_invitation(tmp_path / "i.json", Invitation("alps", "127.0.0.1:9443", "graz", key, pem, authority))
    result = run("join", tmp_path / "i.json", "--dir", home.folder)
    assert "Joined alps at 127.0.0.1:9443" in result.stdout
    assert authority in result.stdout
    assert "The server does not answer yet: 127.0.0.1:9443 cannot be reached" in result.stdout


def test_joining_another_server_shows_both(home: Home, tmp_path: Path) -> None:
    key = fingerprint(read_public_key(home.public_key))
    told = []
    for name in ("trust", "other"):
        pem = certificate(tmp_path / name).ca.read_text()
        told.append(certificate_fingerprint(read_ca(pem)))
        write_invitation(tmp_path / name / "i", Invitation("alps", "127.0.0.1:9", "graz", key, pem, told[-1]))
    assert run("join", tmp_path / "trust" / "i", "--dir", home.folder).exit_code == 0
    with pytest.raises(SettingsError, match="another server") as caught:
        run("join", tmp_path / "other" / "i", "--dir", home.folder)
    assert all(each in str(caught.value) for each in told)
    result = run("join", tmp_path / "other" / "i", "--replace", "--dir", home.folder)
    assert f"No longer trusted: alps at 127.0.0.1:9, authority {told[0]}" in result.stdout


def test_joining_says_that_the_server_answers(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path / "trust").ca.read_text()
    key, authority = fingerprint(read_public_key(home.public_key)), certificate_fingerprint(read_ca(pem))
    write_invitation(tmp_path / "i.json", Invitation("alps", "127.0.0.1:9", "graz", key, pem, authority))
    found = [Check("tcp", "ok", "it answers"), Check("clock", "warning", "2 s behind")]
    monkeypatch.setattr("dermafed.client.node.health.check_server", lambda *_, **__: iter(found))
    assert "The server answers." in run("join", tmp_path / "i.json", "--dir", home.folder).stdout


def test_check_exits_1_if_anything_failed(home: Home) -> None:
    result = run("check", "--dir", home.folder, "--json")
    assert result.exit_code == 1
    states = {check["name"]: check["state"] for check in json.loads(result.stdout)}
    assert (states["key"], states["server"], states["data"]) == ("ok", "failed", "failed")


def test_a_plan_is_described_and_decided(home: Home) -> None:
    Offers(home.offers).add(OFFER, 1, (Decision.WAITING, Reason.ASKS_A_PERSON))
    shown = run("plans", "--dir", home.folder).stdout
    assert "waits for you" in shown
    for line in ("3 rounds of 0.25 epochs", "classes melanoma, nevus", *OFFER.sends):
        assert line in shown
    assert asked_json("status", "--dir", home.folder)["plans_waiting"] == 1
    assert "approved by someone here" in run("approve", "first", "--dir", home.folder).stdout
    (plan,) = asked_json("plans", "--dir", home.folder)
    assert (plan["hash"], plan["decision"], plan["by"]) == (OFFER.hash, "approved", "person")
    assert "refused by someone here" in run("refuse", OFFER.hash[:6], "--dir", home.folder).stdout
    with pytest.raises(SettingsError, match="No plans"):
        run("approve", "other", "--dir", home.folder)


def test_a_plans_name_cannot_write_to_the_terminal(home: Home) -> None:
    from dataclasses import replace

    odd = replace(OFFER, name="a\x1b[2Jb")
    Offers(home.offers).add(odd, 1, (Decision.WAITING, Reason.ASKS_A_PERSON))
    assert "a?[2Jb" in run("plans", "--dir", home.folder).stdout


def test_the_audit_log_is_shown_and_verified(home: Home) -> None:
    append_entry(home.audit, Entry(7, "1", "train", 16_000_000, "ab" * 32))
    assert "16000000 bytes" in run("audit", "--dir", home.folder).stdout
    (line,) = asked_json("audit", "--dir", home.folder)
    assert (line["run"], line["kind"], line["sha256"]) == (7, "train", "ab" * 32)
    home.audit.write_text(home.audit.read_text().replace("16000000", "16000001"))
    with pytest.raises(DermaFedError, match="was changed") as error:
        run("audit", "--dir", home.folder)
    assert error.value.exit_code == 1


def test_saved_models_are_listed(home: Home) -> None:
    import numpy as np

    save_last_model(home.models, OFFER.hash, OFFER, np.arange(3, dtype=np.float32), 2)
    (model,) = asked_json("models", "--dir", home.folder)
    assert (model["name"], model["round"], model["classes"]) == (f"first-{OFFER.hash[:8]}", 2, list(CLASSES))


def test_start_needs_a_server(home: Home) -> None:
    with pytest.raises(SettingsError, match="not joined"):
        run("start", "--dir", home.folder)


def test_the_status_of_a_node_that_never_ran(home: Home) -> None:
    assert asked_json("status", "--dir", home.folder)["node"] == "has never run"


def test_a_dead_nodes_status_does_not_count_even_if_its_process_id_is_in_use(home: Home) -> None:
    # As after the sudden end of a container: the next one gives the same numbers to its processes.
    write_status(home.node, NodeStatus(os.getpid(), connected=True, worker_ready=True))
    assert asked_json("status", "--dir", home.folder)["node"] == "is not running"
    assert run("status", "--ready", "--dir", home.folder).exit_code == 1


@pytest.mark.parametrize(("connected", "worker_ready"), [(True, True), (True, False), (False, True)])
def test_ready_is_a_node_that_could_begin_a_round(home: Home, connected: bool, worker_ready: bool) -> None:
    write_status(home.node, NodeStatus(os.getpid(), connected=connected, worker_ready=worker_ready))
    with lock_folder(home.node):
        result = run("status", "--ready", "--dir", home.folder)
    assert (result.exit_code, result.stdout) == (0 if connected and worker_ready else 1, "")


def test_a_starting_node_is_not_taken_for_the_previous_one(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path / "trust").ca.read_text()
    key, authority = fingerprint(read_public_key(home.public_key)), certificate_fingerprint(read_ca(pem))
    pin_server(home, Invitation("alps", "127.0.0.1:9", "graz", key, pem, authority))
    write_status(home.node, NodeStatus(1, connected=True, worker_ready=True))
    seen = []

    def read_status_now(node: object) -> None:
        seen.append(read_status(home.node))
        raise supervisor._Stop

    monkeypatch.setattr(supervisor._Node, "update", read_status_now)
    supervisor.run_node(home, print)
    assert seen == [NodeStatus(os.getpid(), since=seen[0].since)]


def test_a_plan_that_nobody_can_approve(home: Home) -> None:
    from dataclasses import replace

    noised = replace(OFFER, epsilon=0.5)
    Offers(home.offers).add(noised, 1, (Decision.WAITING, Reason.ASKS_A_PERSON))
    assert (
        "beyond your limits: epsilon 0.5, but nothing would be noised"
        in run("plans", "--dir", home.folder).stdout
    )
    with pytest.raises(SettingsError, match=r"Nobody can approve this plan: epsilon 0\.5"):
        run("approve", "first", "--dir", home.folder)


def test_a_plan_shows_batch_rate_and_price(home: Home) -> None:
    Offers(home.offers).add(OFFER, 1, (Decision.WAITING, Reason.ASKS_A_PERSON))
    shown = run("plans", "--dir", home.folder).stdout
    assert "steps of 16 images at a learning rate of 0.0005" in shown
    assert "costs about 0.9 GB of memory, 0.0 minutes a round for 1,000 images, messages of 16 MB" in shown
