"""Keys, certificates, clocks and consent that are wrong: each is reported where it can be fixed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dermafed.client.node.connection import REFUSED
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol import certificates as authority
from tests.faults.federation import SERVER, Federation, edit
from tests.faults.processes import ROOT, wait_for

pytestmark = pytest.mark.slow

CLOCK = Path(__file__).parent / "clock"


@contextmanager
def restarted(federation: Federation, clinic: str) -> Iterator[None]:
    """Change a clinic's folder while its node is down."""
    federation.end(clinic)
    yield
    federation.start_clinic(clinic)


def test_a_key_unknown_then_enrolled_then_revoked_then_replaced(
    federation: Federation, tmp_path: Path
) -> None:
    data = federation.data("graz")
    federation.init("wels", data)
    for name in ("server.json", "ca.pem"):
        shutil.copy(federation.home("graz") / name, federation.home("wels") / name)
    federation.start_clinic("wels")
    assert REFUSED in wait_for(lambda: federation.cause_at("wels"))
    federation.enrol("wels")
    wait_for(lambda: federation.connected("wels"))
    federation.coordinator("revoke", "wels")
    assert REFUSED in wait_for(lambda: federation.cause_at("wels"), 60)
    assert "wels may no longer connect" in federation.log(SERVER)
    with pytest.raises(SettingsError, match=r"was revoked on .*make a new key, in a new folder"):
        federation.enrol("wels")
    federation.end("wels")
    assert REFUSED in federation.check_at("wels", "registration")["what"]
    shutil.rmtree(federation.home("wels"))
    federation.init("wels", data)
    (federation.folder / "wels.invitation").unlink()
    federation.enrol("wels")
    federation.start_clinic("wels")
    wait_for(lambda: federation.connected("wels"))
    federation.coordinator("revoke", "wels")
    federation.end("wels")


def test_a_second_node_with_the_same_key_is_refused_and_disturbs_nobody(federation: Federation) -> None:
    ignored = shutil.ignore_patterns("node", "audit.*")
    shutil.copytree(federation.home("graz"), federation.home("twin"), ignore=ignored)
    (federation.home("twin") / "node").mkdir(0o700)
    federation.start_clinic("twin")
    assert "another node with it is connected" in wait_for(lambda: federation.cause_at("twin"))
    federation.train("twin", rounds=1)
    federation.ends("twin")
    assert federation.history("twin")[0]["left_out"] == ""
    assert not (federation.home("twin") / "audit.jsonl").exists()
    federation.end("twin")


def test_a_wrong_authority_is_reported(federation: Federation, tmp_path: Path) -> None:
    authority.make_authority(tmp_path / "other", "other")
    pinned = (federation.home("linz") / "ca.pem").read_bytes()
    with restarted(federation, "linz"):
        shutil.copy(tmp_path / "other" / "ca.pem", federation.home("linz") / "ca.pem")
    cause = wait_for(lambda: federation.cause_at("linz"))
    assert "not issued by the pinned authority" in cause
    assert "ask by telephone, then join again" in cause
    assert federation.check_at("linz", "tls")["state"] == "failed"
    with restarted(federation, "linz"):
        (federation.home("linz") / "ca.pem").write_bytes(pinned)
    wait_for(lambda: federation.connected("linz"))


def test_an_expired_certificate_is_reported_and_renewed(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.end(SERVER)
    begun = time.monotonic()
    federation.start_server()
    needs = time.monotonic() - begun
    federation.end(SERVER, "linz")
    with monkeypatch.context() as patch:
        patch.setattr(authority, "SERVER_DAYS", (2 * needs + 10) / 86_400)
        federation.coordinator("renew")
    issued = time.monotonic()
    federation.start_server()
    assert "certificate expires in 0 days; run: fl-server renew" in federation.log(SERVER)
    time.sleep(max(0.0, issued + 2 * needs + 11 - time.monotonic()))
    federation.start_clinic("linz")
    cause = wait_for(lambda: federation.cause_at("linz"))
    assert "the server's certificate has expired" in cause
    assert "the coordinator must renew the certificate" in cause
    federation.end(SERVER)
    with pytest.raises(RuntimeError, match=r"certificate expired on .*Run: fl-server renew"):
        federation.start_server()
    federation.coordinator("renew")
    federation.start_server()
    wait_for(lambda: federation.connected("graz", "linz"))


@pytest.mark.parametrize(("ahead", "direction"), [(600, "ahead of"), (-600, "behind"), (20, "ahead of")])
def test_a_wrong_clock_is_reported(federation: Federation, ahead: float, direction: str) -> None:
    federation.end("linz")
    federation.start_clinic("linz", PYTHONPATH=f"{CLOCK}:{ROOT}", CLOCK_AHEAD=str(ahead))
    cause = wait_for(lambda: federation.cause_at("linz"))
    found = re.search(rf"the clock is (\d+) s {direction} the server's. Set it by NTP", cause)
    assert found, cause
    assert abs(int(found[1]) - abs(ahead)) <= 5
    with restarted(federation, "linz"):
        pass
    wait_for(lambda: federation.connected("linz"))


def test_a_plan_that_nobody_approved_pauses_and_goes_on_once_somebody_does(federation: Federation) -> None:
    settings = federation.home("linz") / "clinic.toml"
    edit(settings, 'policy = "limits"', 'policy = "ask"')
    try:
        federation.train("unheard", rounds=1, approval="20s")
        paused = federation.ends("unheard", "paused")
        assert "linz: waiting: someone there has to approve it" in paused["why"]
        assert "ask the clinics to approve it" in paused["why"]
        assert "waits for you: fl-client approve or refuse" in federation.at("linz", "plans")
        federation.at("linz", "approve", "unheard")
        federation.coordinator("resume", "unheard")
        federation.ends("unheard")
        assert federation.history("unheard")[0]["replied"] == 2
    finally:
        edit(settings, 'policy = "ask"', 'policy = "limits"')
