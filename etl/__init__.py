"""hesi-erp: approved Hesi expense claims become balanced, audited ERP vouchers.

The product runs without Airflow. Layers, outermost first (``tests/test_layers.py`` enforces them)::

    cli, pipeline -> hesi, erp, store, report -> steps -> config -> errors, money, periods, frames, rejects
"""

__version__ = "0.1.0"
