"""Engines that run a ServerApp and a ClientApp for many clinics on one machine."""
