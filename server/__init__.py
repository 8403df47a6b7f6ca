"""The coordinator: rounds, strategies, checkpoints, and the ``fl-server`` command."""

from shared.offline import stay_offline

stay_offline()
