"""Fault injection: real processes, sockets and databases broken on purpose, and an oracle that says whether the promises held.

``python -m faults --slice`` runs a selection, ``--full`` everything, ``--case ID`` one case again. Not part of the product.
"""
