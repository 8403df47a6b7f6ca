"""The coordinator: rounds, strategies, checkpoints, and the ``fl-server`` command."""

from dermafed.shared.process import stay_offline

stay_offline()
