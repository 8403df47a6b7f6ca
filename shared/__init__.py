"""What every site needs: records, preprocessing, model, training, metrics and reports."""

from shared.offline import stay_offline

stay_offline()
