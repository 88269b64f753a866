"""``python -m etl``: the same as ``hesi-erp``."""

from etl.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
