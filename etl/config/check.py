"""``hesi-erp check-config``: every mistake of every configuration file at once, without talking to anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from etl.config.layouts import Layout
from etl.config.load import load_mappings, read_folder
from etl.config.settings import Settings
from etl.config.suites import load_suites
from etl.errors import ConfigError, EtlError


def check_config(settings: Settings, *, needs: tuple[str, ...] = ()) -> list[str]:
    """Mistakes of mappings, import layouts, validation suites and settings; empty = a run may start.

    Wrong settings never get here: :func:`etl.config.settings.load_settings` refuses them. ``needs`` names settings (fields of
    :class:`Settings`) that must not be empty, such as ``app_key`` and ``erp_url`` before a run.
    """
    checks: tuple[Callable[[], object], ...] = (
        lambda: load_mappings(settings.mappings),
        lambda: read_folder(settings.mappings, "layouts", Layout),
        lambda: load_suites(settings.expectations),
        lambda: settings.require(*needs),
    )
    problems = [problem for check in checks for problem in _problems(check)]
    if not settings.expectations.is_dir():
        problems.append("HESI_ERP_EXPECTATIONS: expected a folder of suites, found none")
    if settings.home.exists() and not settings.home.is_dir():
        problems.append("HESI_ERP_HOME: expected a folder, found a file")
    return problems


def _problems(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except ConfigError as error:
        yield from error.problems or (str(error),)
    except EtlError as error:
        yield str(error)
