"""What server and clinics both need: lesions, images, model, training, metrics, explanations, protocol."""

from dermafed.shared.process import stay_offline

stay_offline()
