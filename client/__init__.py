"""The clinic: the ClientApp that trains on its own images, and the ``fl-client`` command."""

from dermafed.shared.offline import stay_offline

stay_offline()
