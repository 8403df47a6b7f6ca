"""Tests of ``simulation/attacks``."""
