"""What docker/ promises, found by reading it: no root, nothing to write on, no way between clinics."""

from __future__ import annotations

import ast
import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml
from typer.main import get_command

import dermafed.client.cli
from tests.paths import ROOT

DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CLINICS = [name for name in SERVICES if name != "server"]
STAGES = {
    stage.split(" AS ")[1].split("\n")[0]: stage
    for stage in re.split(r"^FROM ", (DOCKER / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)[1:]
}


def test_the_images_are_built_from_all_packages() -> None:
    copied = {
        keyword for line in STAGES["source"].splitlines() if line[:5] == "COPY " for keyword in line.split()
    }
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"}
    needed = {"pyproject.toml", "setup.py", "dermafed", "shared", "server", "client", "simulation"}
    assert needed <= copied & sent


@pytest.mark.parametrize("target", ["server", "clinic", "serving"])
def test_an_image_runs_without_privileges_and_reports_its_health(target: str) -> None:
    instructions = [line for line in STAGES[target].splitlines() if line[:1].isupper()]
    keywords = [line.split()[0] for line in instructions]
    assert "USER dermafed" in instructions
    assert keywords.index("USER") > max(at for at, keyword in enumerate(keywords) if keyword == "RUN")
    assert "HEALTHCHECK" in keywords
    # Its licence forbids to pass it on, and a layer retains what a later one removes.
    assert all("uninstall --yes bm3d" in line for line in instructions if "pip install" in line)


def test_a_container_serves_what_its_node_has_saved_and_asks_itself_for_its_health() -> None:
    lines = STAGES["serving"].splitlines()
    check, command = (
        json.loads(next(line for line in lines if line.startswith(start)).split("CMD ", 1)[1])
        for start in ("HEALTHCHECK", "CMD")
    )
    port = next(line.split()[1] for line in lines if line.startswith("EXPOSE"))
    options = get_command(dermafed.client.cli.app).commands["serve"].params  # type: ignore[attr-defined]
    assert command[:2] == ["fl-client", "serve"]
    assert set(command[2::2]) <= {name for option in options for name in option.opts}
    assert port == str(next(option.default for option in options if option.name == "port"))
    assert check[:2] == ["python", "-c"]
    assert f"C('localhost', {port}, " in check[2]
    assert {node.names[0].name for node in ast.parse(check[2]).body if isinstance(node, ast.Import)} == {
        "ssl"
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_few_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"user", "privileged", "environment", "env_file", "ports", "network_mode"}


def test_two_clinics_share_only_the_server() -> None:
    assert len(CLINICS) == 3
    for one, other in combinations(CLINICS, 2):
        assert not set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"])
    for name in CLINICS:
        assert set(SERVICES[name]["networks"]) <= set(SERVICES["server"]["networks"])
    assert all(network == {"internal": True} for network in COMPOSE["networks"].values())
    assert SERVICES["server"]["sysctls"] == {"net.ipv4.ip_forward": 0}


def test_folders_are_shared_with_nobody_and_data_is_read_only() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service["volumes"]]
    assert len(set(mounts)) == len(mounts)
    assert all(mount.endswith(":ro") for mount in mounts if ":/data" in mount)
    folders = {mount.split(":")[0] for mount in mounts if ":/data" not in mount}
    assert folders == set(COMPOSE["volumes"]) == set(SERVICES)
    assert sum(":/data:ro" in mount for mount in mounts) == len(CLINICS)
