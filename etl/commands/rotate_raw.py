"""``python -m etl.commands.rotate_raw``: every raw page of ``HESI_ERP_HOME`` encrypted with the first of ``HESI_ERP_RAW_KEYS``.

Run it while no run is under way: after a new key was put in front of the list, or when encryption was switched on. When it ends,
older keys may leave the list. Hashes, references and evidence stay as they were.
"""

from __future__ import annotations

import argparse
import sys

from etl.cli import GREEN_OR_AMBER
from etl.cli_output import print_json, tell
from etl.commands.errors import guarded
from etl.commands.prepare import prepared
from etl.config.settings import split_keys
from etl.store.raw import RawStore


def rotate_command(options: argparse.Namespace) -> int:
    """0 when every page is under the first key."""
    with prepared(verbose=options.verbose) as settings:
        pages = sum(1 for _ in RawStore(settings.home, keys=split_keys(settings.raw_keys)).reseal())
    if options.json:
        print_json({"pages": pages})
    else:
        tell(f"{pages} raw pages are encrypted with the first key of HESI_ERP_RAW_KEYS; older keys may leave the list now")
    return GREEN_OR_AMBER


def main() -> int:
    """Exit status of the command."""
    parser = argparse.ArgumentParser(prog="python -m etl.commands.rotate_raw", description="Encrypt every raw page with the first of HESI_ERP_RAW_KEYS.")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output, nothing else")
    parser.add_argument("--verbose", action="store_true", help="log lines on standard error")
    parser.set_defaults(command=rotate_command)
    return guarded(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
