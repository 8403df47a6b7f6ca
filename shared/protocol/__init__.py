"""What travels between the server and the clinics: plans, messages, agreement, keys, certificates."""
