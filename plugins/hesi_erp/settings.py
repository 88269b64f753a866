"""The settings of a run inside Airflow: Connections first, then one Variable, then the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable
from airflow.sdk.log import mask_secret

from etl.errors import ConfigError
from hesi_erp.hooks import ErpHook, HesiHook, LedgerHook

if TYPE_CHECKING:
    from etl.config.settings import Settings

VARIABLE = "hesi_erp"
_ABSENT: dict[str, Any] = {}


def airflow_settings() -> Settings:
    """Settings with every secret known to Airflow's masking.

    The Variable ``hesi_erp`` is a JSON object of names of ``docs/settings.md``; secrets have no place in it.

    Raises:
        ConfigError: lists every wrong setting.
    """
    from etl.config.settings import load_settings
    from etl.redaction import register_secret

    values = _variables()
    for hook in (HesiHook(), ErpHook(), LedgerHook()):
        values |= hook.settings()
    settings = load_settings(**values)
    if not settings.home.is_absolute():
        raise ConfigError(
            f"HESI_ERP_HOME: expected an absolute path, because tasks start in different folders; found {settings.home}. "
            f"Set it in the environment or in the Variable {VARIABLE}"
        )
    for secret in _secret_texts(settings):
        mask_secret(secret)
        register_secret(secret)
    return settings


def _variables() -> dict[str, Any]:
    from etl.config.settings import Settings

    values = Variable.get(VARIABLE, default=_ABSENT, deserialize_json=True)
    if not isinstance(values, dict):
        raise ConfigError(f'Variable {VARIABLE}: expected a JSON object like {{"HESI_ERP_START": "2026-01-01"}}, found {type(values).__name__}')
    fields = {field.alias: name for name, field in Settings.model_fields.items()}
    problems = [f"{name}: no such setting; docs/settings.md lists them all" for name in values if name not in fields]
    problems += [f"{name}: a secret; it belongs in a Connection or the environment" for name in values if fields.get(name) in Settings.SECRET_FIELDS]
    if problems:
        raise ConfigError(f"Variable {VARIABLE} is wrong:", problems=tuple(problems))
    return dict(values)


def _secret_texts(settings: Settings) -> list[str]:
    from pydantic import SecretStr
    from sqlalchemy.engine import make_url

    texts = []
    for name in settings.SECRET_FIELDS:
        text = getattr(settings, name)
        text = text.get_secret_value() if isinstance(text, SecretStr) else str(text or "")
        # Of a database address only the password is secret; masking all of it would hide which database is meant.
        texts.append(str(make_url(text).password or "") if "://" in text else text)
    return [text for text in texts if text]
