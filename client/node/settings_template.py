"""The ``clinic.toml`` of a new clinic: every setting, with its default."""

from __future__ import annotations

import json
from pathlib import Path

from dermafed.client.node.clinic_settings import PLANS, default_limits
from dermafed.client.node.count_settings import CountSettings
from dermafed.client.node.privacy_budget import BudgetSettings
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.settings import KeyInfo, Settings, keys_of

_TEMPLATE = """\
clinic = {clinic}
# A folder with a manifest, a folder per class, COCO or LabelMe; or a manifest.
data = {data}
# Columns of the manifest, where they go by other names than the accepted ones.
# image = "img_id"
# label = "diagnostic"
# Port of the node's own interface on this machine; 0 takes a free one at every start.
port = 0

# What an alert for melanoma is to do. Remove the marks to change it.
# [decision]
{decision}

# What runs with differential privacy may spend of each patient, over all runs. Remove the marks to change it.
# [privacy]
{privacy}

# Which queries of the coordinator this clinic answers: fl-client counts shows what it would send.
# [counts]
{counts}

[limits]
# ask: a person approves every plan.  limits: plans within the limits below are approved, others refused.
# Below a number min_..., no plan is accepted, whoever approves.
# Without a number for max_epsilon, differential privacy is not demanded; with one, each plan needs it.
policy = "ask"
# Plans that the limits approve in 30 days; further ones wait for a person.
max_plans = {plans}
{limits}
"""


def settings_text(clinic: str, data: Path) -> str:
    """The file of a new clinic, with every limit and choice at its default."""
    return _TEMPLATE.format(
        clinic=json.dumps(clinic),
        data=json.dumps(str(data.resolve()), ensure_ascii=False),
        decision=commented(DecisionSettings),
        privacy=commented(BudgetSettings),
        counts=commented(CountSettings),
        plans=PLANS,
        limits=default_limits(),
    )


def commented(kind: type[Settings]) -> str:
    """The lines of a table with its defaults, commented out."""
    return "\n".join(map(_commented, keys_of(kind).values()))


def _commented(key: KeyInfo) -> str:
    value = key.key.example if key.default is None else key.default
    default = f"; default: {key.key.otherwise}" if key.key.otherwise else ""
    return f"# {key.name} = {json.dumps(value)}  # {key.help}{default}"
