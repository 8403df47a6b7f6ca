"""The coordinator: plans, agreement with the clinics, runs, the server process."""
