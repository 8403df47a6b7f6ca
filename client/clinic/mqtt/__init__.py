"""Images that come over MQTT 5 from a clinic's devices, and their answers."""
