"""Maps the folders ``shared``, ``server``, ``client`` and ``simulation`` to ``dermafed.shared`` and so on."""

from setuptools import find_namespace_packages, setup

PARTS = ("shared", "server", "client", "simulation")
folders = find_namespace_packages(
    include=[f"{top}*" for top in ("dermafed", *PARTS)], exclude=["*.__pycache__"]
)
setup(
    packages=[name if name.startswith("dermafed") else f"dermafed.{name}" for name in folders],
    package_dir={f"dermafed.{part}": part for part in PARTS},
)
