"""What every site needs: lesions, images, model, training, metrics, explanations, protocol."""

from dermafed.shared.offline import stay_offline

stay_offline()
