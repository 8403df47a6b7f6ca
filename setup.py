"""Maps the folders ``shared``, ``server``, ``client`` and ``simulation`` to ``dermafed.shared`` and so on."""

from setuptools import find_packages, setup

PARTS = ("shared", "server", "client", "simulation")
packages = find_packages(include=[pattern for part in PARTS for pattern in (part, f"{part}.*")])
setup(
    packages=[*find_packages(include=["dermafed*"]), *(f"dermafed.{package}" for package in packages)],
    package_dir={f"dermafed.{part}": part for part in PARTS},
)
