"""What serves a clinic: image intake, diagnosis, its store, and the ways in (HTTP, DICOM, MQTT)."""
