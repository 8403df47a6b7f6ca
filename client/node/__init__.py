"""The clinic's node: consent, training, the outgoing gate, the audit log, its processes."""
