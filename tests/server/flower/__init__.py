from dermafed.shared.process import stay_offline

# The modules here import Flower before ours, as import sorters have it.
stay_offline()
