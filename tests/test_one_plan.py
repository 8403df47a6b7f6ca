"""A key of a plan is declared once: a hyperparameter that is added to the recipe is everywhere at once."""

from __future__ import annotations

import subprocess
import sys

from tests.paths import ROOT

PROGRAM = """
import importlib.util, sys, tomllib
from pathlib import Path

spec = importlib.util.find_spec("dermafed.shared.training.recipe")
source = Path(spec.origin).read_text("utf-8")
field = '''    sharpness: Annotated[
        Number, Field(ge=0, description="How sharp it is"), Key(synthetic=3, limit=2, asks="sharpness {}")
    ] = 1.5
    focus: Annotated['''
assert source.count("    focus: Annotated[") == 1
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
exec(compile(source.replace("    focus: Annotated[", field), spec.origin, "exec"), module.__dict__)

from dermafed.client.commands.plans import describe
from dermafed.client.node.clinic_settings import Limits, default_limits
from dermafed.client.node.offers import _new as stored
from dermafed.server.coordinator.plan_file import documented_plan, parse_plan
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.offer import Offer
from dermafed.simulation.cli import simulate
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.study import read_study
import inspect

asked = parse_plan('name = "a"\\n[training]\\nsharpness = 2.5', Path("plan.toml"))
try:
    parse_plan('name = "a"\\n[training]\\nsharpness = -1', Path("plan.toml"))
except SettingsError as error:
    assert "sharpness is -1 (plan.toml, training.sharpness). Give a number, 0 or more." == str(error), error
assert asked.to_dict()["training"]["sharpness"] == 2.5
assert Offer.from_text(asked.offer.to_text()).recipe.sharpness == 2.5
assert "sharpness = 1.5               # How sharp it is" in documented_plan()
assert "max_sharpness = 2" in default_limits()
assert Limits("limits").beyond(asked.offer) == ["sharpness 2.5, at most 2"]
assert any("sharpness 2.5" in line for line in describe(stored(asked.offer), Limits()))
assert "sharpness" in inspect.signature(simulate).parameters
assert (RunSettings().sharpness, RunSettings(data="images").sharpness) == (3, 1.5)
plan = RunSettings(sharpness=0.5).plan(("a", "b"), (1, 1), threads=1)
assert plan.recipe.sharpness == plan.to_dict()["recipe"]["sharpness"] == 0.5
Path("own.toml").write_text("[rows.a]\\nsharpness = 7")
assert read_study("own.toml", {}).rows["a"].sharpness == 7
"""


def test_a_hyperparameter_touches_one_file(tmp_path: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
