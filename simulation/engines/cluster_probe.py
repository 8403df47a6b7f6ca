"""Asks every machine of a Ray cluster whether it can work on a run; a program of its own.

Its arguments are the address and the paths that every machine must see. It prints the faults as a JSON
list, or ends with an error where there is no cluster.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

_ANSWER_SECONDS = 60.0


def faults_of(address: str, paths: Sequence[str]) -> list[str]:
    """What is wrong with the machines of a cluster; raises whatever Ray raises where there is none."""
    ray: Any = import_module("ray")  # whose types are incomplete
    strategies: Any = import_module("ray.util.scheduling_strategies")
    ray.init(address=address, logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    here, look = _look([])["version"], ray.remote(num_cpus=0)(_look)
    asked = {
        look.options(
            scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(paths): f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        for node in ray.nodes()
        if node["Alive"]
    }
    answered, silent = ray.wait([*asked], num_returns=len(asked), timeout=_ANSWER_SECONDS)
    faults = [f"{asked[each]} does not answer" for each in silent]
    for each in answered:
        try:
            seen = ray.get(each)
        except ray.exceptions.RayError:  # it was lost so lately that Ray lists it still
            faults.append(f"{asked[each]} does not answer")
            continue
        faults += [f"{asked[each]} {fault}" for fault in _faults(seen, here)]
    return faults


def _look(paths: Sequence[str]) -> dict[str, Any]:
    """What there is on the machine that runs this, which may lack this package: so it imports none of it."""
    import os
    from importlib.metadata import PackageNotFoundError, version

    try:
        found: str | None = version("dermafed")
    except PackageNotFoundError:
        found = None
    return {"version": found, "missing": [path for path in paths if not os.path.exists(path)]}  # noqa: PTH110


def _faults(seen: dict[str, Any], here: str) -> list[str]:
    if seen["version"] is None:
        return ["has no DermaFed"]
    other = [f"has DermaFed {seen['version']}, not {here}"] if seen["version"] != here else []
    return other + [f"does not see {path}" for path in seen["missing"]]


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(faults_of(sys.argv[1], sys.argv[2:])) + "\n")
    except Exception as error:
        sys.exit(" ".join(str(error).split()))
