"""The commands of :mod:`etl.cli`, one file each; what they share stands in ``errors``, ``logs`` and ``prepare``."""
