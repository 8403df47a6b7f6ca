"""The coordinator's dashboard: read-only pages beside the health checks, for this machine and a token."""
