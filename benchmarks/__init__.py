"""Measured claims: what the README says about speed is printed by ``python -m benchmarks``."""
