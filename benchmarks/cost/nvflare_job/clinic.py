"""A clinic that changes every weight a little and does not train; NVFlare copies this file to it."""

import numpy as np
import nvflare.client as flare

flare.init()
while flare.is_running():
    given = flare.receive()
    if given is None:
        break
    changed = {name: weights * np.float32(1.001) for name, weights in given.params.items()}
    steps = {"NUM_STEPS_CURRENT_ROUND": 64}
    flare.send(flare.FLModel(params=changed, metrics={"accuracy": 0.5}, meta=steps))
