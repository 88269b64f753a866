"""``docs/settings.md``: every environment variable, from :class:`etl.config.settings.Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from etl.config.pages.markdown import page, table
from etl.config.settings import PROJECT, Settings

_INTRO = """
Settings come from the environment and are checked before anything else happens; `hesi-erp check-config` lists every
wrong one. Inside Airflow, addresses and secrets come from Connections instead. Variables marked *secret* are never
printed, logged or reported.
"""


def settings_reference() -> str:
    """The page: one row per variable."""
    rows = [(f"`{field.alias}`", _default(field), _meaning(field)) for field in Settings.model_fields.values()]
    return page("Settings", _INTRO, table(("Variable", "Default", "Meaning"), rows))


def _meaning(field: FieldInfo) -> str:
    return f"{field.description}{' (*secret*)' if field.annotation is SecretStr else ''}"


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if isinstance(value, SecretStr) or value is None or value == ():
        return ""
    if isinstance(value, Path):
        # The folder of this machine is no default anybody else has.
        return f"`{value.relative_to(PROJECT)}/` of the project" if value.is_absolute() else f"`{value}/`"
    return f"`{value}`"
