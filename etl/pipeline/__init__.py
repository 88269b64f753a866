"""Composes steps and adapters into runs; the only place that knows both."""
