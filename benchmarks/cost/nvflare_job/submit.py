"""Submits FedAvg to NVFlare's server: KIT WEIGHTS.npy CLINICS ROUNDS MARKS, in NVFlare's environment."""

import sys
from pathlib import Path

from marking import MarkingPersistor
from nvflare.fuel.utils.constants import FrameworkType
from nvflare.recipe import FedAvgRecipe, ProdEnv

kit, weights, clinics, rounds, marks = sys.argv[1:]
recipe = FedAvgRecipe(
    name="cost",
    framework=FrameworkType.NUMPY,
    model_persistor=MarkingPersistor(weights, marks),
    min_clients=int(clinics),
    num_rounds=int(rounds),
    train_script=str(Path(__file__).with_name("clinic.py")),
)
recipe.execute(ProdEnv(startup_kit_location=kit, login_timeout=60))
