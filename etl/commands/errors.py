"""One place where an exception becomes an exit status: our families by code and message, anything else by its log file."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from pathlib import Path

from etl.cli import INTERRUPTED, RED, WRONG_CONFIGURATION
from etl.cli_output import print_json, tell
from etl.codes import UNEXPECTED
from etl.commands.logs import log_file, logging_to
from etl.errors import ConfigError, EtlError
from etl.files import on_disk
from etl.redaction import redact

log = logging.getLogger("etl")


def guarded(options: argparse.Namespace) -> int:
    """Exit status of the command of ``options``; what went wrong is told, never thrown at the operator."""
    try:
        with on_disk(_home()):
            status: int = options.command(options)
    except ConfigError as error:
        return _told(options, error, WRONG_CONFIGURATION)
    except EtlError as error:
        return _told(options, error, RED)
    except KeyboardInterrupt:
        tell("interrupted: what was committed stays, run again to finish")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left (`hesi-erp explain ... | head`); Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return RED
    except Exception as error:  # noqa: BLE001 - the last resort: the operator gets one line, the traceback is kept
        return _unexpected(options, error)
    return status


def _told(options: argparse.Namespace, error: EtlError, status: int) -> int:
    message = redact(str(error))
    tell(f"{error.code}: {message}")
    if options.json:
        problems = [redact(problem) for problem in error.problems] if isinstance(error, ConfigError) else []
        print_json({"error": {"code": error.code, "message": message, "problems": problems}, "exit_status": status})
    return status


def _unexpected(options: argparse.Namespace, error: Exception) -> int:
    home = _home()
    details = ("unexpected %s\n%s", (type(error).__name__, traceback.format_exc()))
    try:
        # Straight to the file: the terminal gets one line.
        with logging_to(home, verbose=False) as file:
            file.handle(log.makeRecord(log.name, logging.CRITICAL, __file__, 0, *details, None))
        kept = f"The traceback is in {log_file(home)}"
    except OSError as unwritable:
        kept = f"The traceback could not be kept ({unwritable.strerror}: {log_file(home)})"
    message = redact(f"{type(error).__name__}: {error}. {kept}; report it with the run's log. Running again is safe")
    tell(f"{UNEXPECTED}: {message}")
    if options.json:
        print_json({"error": {"code": UNEXPECTED, "message": message, "problems": []}, "exit_status": RED})
    return RED


def _home() -> Path:
    # Settings may be what failed, so the folder is read from the environment as it stands.
    return Path(os.environ.get("HESI_ERP_HOME") or "hesi-erp-home")
