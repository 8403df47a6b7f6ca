"""The clinic: the ClientApp that trains on its own images, and the ``fl-client`` command."""

from dermafed.shared.process import stay_offline

stay_offline()
