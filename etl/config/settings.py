"""Every setting of a run, read once from the environment (inside Airflow: from Connections).

``docs/settings.md`` is generated from :class:`Settings`; a field's description is its documentation.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from etl.errors import ConfigError
from etl.periods import ACCOUNTING_ZONE

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTED_HOSTS = (
    "app.ekuaibao.com",
    "dd2.hosecloud.com",
    "wx2.ekuaibao.com",
    "kdcloud2.ekuaibao.com",
    "ddenterprise.ekuaibao.com",
    "feishu.ekuaibao.com",
    "open.hosecloud.com",
)
_ED25519_KEY = re.compile(r"[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?")
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def split_keys(value: SecretStr) -> tuple[str, ...]:
    """The keys of a comma separated secret."""
    return tuple(part.strip() for part in value.get_secret_value().split(",") if part.strip())


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


class Settings(BaseSettings):
    """Typed settings; unknown values are refused, secrets never print."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=True)
    SECRET_FIELDS: ClassVar[tuple[str, ...]] = ("app_key", "app_security", "erp_url", "ledger_url", "signing_key", "raw_keys")

    base_url: str = Field("https://app.ekuaibao.com", alias="HESI_BASE_URL", description="Address of the Hesi edition")
    app_key: SecretStr = Field(SecretStr(""), alias="HESI_APP_KEY", description="Application key")
    app_security: SecretStr = Field(SecretStr(""), alias="HESI_APP_SECURITY", description="Application secret")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="HESI_ALLOWED_HOSTS",
        description="Hosts the client may talk to, comma separated, host only; default: the host of HESI_BASE_URL and the documented Hesi hosts",
    )
    erp_url: SecretStr = Field(SecretStr(""), alias="ERP_URL", description="ERP database as a SQLAlchemy URL")
    home: Path = Field(
        Path("hesi-erp-home"),
        alias="HESI_ERP_HOME",
        description="Folder of raw/, reports/, logs/ and quarantine/",
    )
    ledger_url: SecretStr = Field(
        SecretStr(""),
        alias="HESI_ERP_LEDGER_URL",
        description="Run history as a SQLAlchemy URL; default: SQLite under HESI_ERP_HOME",
    )
    mappings: Path = Field(PROJECT / "mappings", alias="HESI_ERP_MAPPINGS", description="Folder of the YAML mappings")
    expectations: Path = Field(
        PROJECT / "expectations",
        alias="HESI_ERP_EXPECTATIONS",
        description="Folder of the Great Expectations suites (JSON)",
    )
    start: datetime | None = Field(
        None,
        alias="HESI_ERP_START",
        description="Cut-over: claims approved earlier are skipped and counted (ISO date or instant; a date is midnight in Asia/Shanghai)",
    )
    lag_seconds: int = Field(2, ge=0, alias="HESI_ERP_LAG_SECONDS", description="Leave claims this fresh to the next run")
    overlap_hours: int = Field(48, ge=0, alias="HESI_ERP_OVERLAP_HOURS", description="Re-read this much before the watermark")
    max_retry_after_seconds: int = Field(
        60,
        ge=0,
        alias="HESI_MAX_RETRY_AFTER_SECONDS",
        description="Longest pause Hesi may ask for; beyond it the run stops and can be resumed",
    )
    requests_per_second: Annotated[float, Field(ge=0)] = Field(5, alias="HESI_REQUESTS_PER_SECOND", description="Request rate; 0 = unlimited")
    reject_rate_percent: int = Field(
        20,
        ge=0,
        le=100,
        alias="HESI_ERP_REJECT_RATE_PERCENT",
        description="Stop before posting when more of the new or changed claims are rejected "
        "(only from HESI_ERP_REJECT_RATE_MIN_CLAIMS on; open unchanged rejects do not count)",
    )
    reject_rate_min_claims: int = Field(100, ge=1, alias="HESI_ERP_REJECT_RATE_MIN_CLAIMS", description="Smallest run the stop applies to")
    write_back_batch: int = Field(50, ge=1, le=100, alias="HESI_ERP_WRITE_BACK_BATCH", description="Voucher numbers per write-back call")
    reversals: str = Field(
        "auto",
        pattern="^(auto|propose)$",
        alias="HESI_ERP_REVERSALS",
        description="auto: a posted claim that changed is reversed and posted anew; propose: it is listed until `hesi-erp accept` takes it",
    )
    voucher_number_template: str = Field(
        "{voucher_word}-{voucher_no}",
        alias="HESI_ERP_VOUCHER_NUMBER_TEMPLATE",
        description="How a voucher number is written to Hesi",
    )
    signing_key: SecretStr = Field(
        SecretStr(""),
        alias="HESI_ERP_SIGNING_KEY",
        description="Ed25519 private key (64 hex digits or base64) that signs the audit log and evidence packs; without it "
        "both are chained and hashed but unsigned. `hesi-erp audit new-key` makes one",
    )
    anchor_dir: Path | None = Field(
        None,
        alias="HESI_ERP_ANCHOR_DIR",
        description="Folder that gets one write-once file for every head of the audit log; meant to be kept by somebody else",
    )
    raw_keys: SecretStr = Field(
        SecretStr(""),
        alias="HESI_ERP_RAW_KEYS",
        description="Fernet keys of the raw pages, comma separated: the first encrypts, all decrypt (SECURITY.md, rotation); "
        "without one pages are stored plain",
    )
    report_language: str = Field("zh", pattern="^(zh|en)$", alias="HESI_ERP_REPORT_LANGUAGE", description="Language opened first")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_only(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if "/" in host or "@" in host or (":" in host and not host.startswith("[") and host != "::1"):
                raise ValueError(f"expected a host like app.ekuaibao.com, without scheme or port; found {host!r}")
        return value

    @field_validator("base_url")
    @classmethod
    def _usable_base(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
            raise ValueError("expected an address like https://app.ekuaibao.com")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("plain http is allowed to this machine only; use https")
        return value.rstrip("/")

    @field_validator("erp_url", "ledger_url")
    @classmethod
    def _usable_database(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            try:
                make_url(value.get_secret_value())
            except ArgumentError:
                raise ValueError("expected a SQLAlchemy URL like postgresql+psycopg://user:password@host/erp") from None
        return value

    @field_validator("raw_keys")
    @classmethod
    def _fernet_keys(cls, value: SecretStr) -> SecretStr:
        for key in split_keys(value):
            if not _FERNET_KEY.fullmatch(key):
                raise ValueError("expected Fernet keys (44 characters of URL-safe base64), separated by commas")
        return value

    @field_validator("signing_key")
    @classmethod
    def _ed25519_key(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not _ED25519_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("expected an Ed25519 private key: 32 bytes as 64 hex digits or as base64; `hesi-erp audit new-key` makes one")
        return value

    @field_validator("start")
    @classmethod
    def _zoned(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=ACCOUNTING_ZONE) if value and value.tzinfo is None else value

    @field_validator("voucher_number_template")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        try:
            text = value.format(voucher_word="记", voucher_no=1, company_code="C01", fiscal_period="2026-01")
        except (KeyError, IndexError, ValueError):
            text = ""
        if "{voucher_no}" not in value or not text.strip():
            raise ValueError("expected {voucher_no} and at most {voucher_word}, {company_code}, {fiscal_period}")
        return value

    @model_validator(mode="after")
    def _defaults(self) -> Settings:
        # Frozen: the derived defaults are set once, here.
        host = urlsplit(self.base_url).hostname or ""
        if not self.allowed_hosts:
            object.__setattr__(self, "allowed_hosts", (host, *DOCUMENTED_HOSTS))
        elif host not in self.allowed_hosts:
            raise ValueError(f"HESI_BASE_URL points to {host}, which HESI_ALLOWED_HOSTS does not list")
        if not self.ledger_url.get_secret_value():
            path = self.home.absolute() / "ledger.db"
            object.__setattr__(self, "ledger_url", SecretStr(f"sqlite:///{path}"))
        return self

    @property
    def start_ms(self) -> int | None:
        """Cut-over instant in epoch milliseconds, or None."""
        return None if self.start is None else int(self.start.timestamp()) * 1000

    def require(self, *names: str) -> None:
        """Refuse to go on while a needed setting is empty.

        Raises:
            ConfigError: lists every missing variable at once.
        """
        missing = []
        for name in names:
            value = getattr(self, name)
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                missing.append(f"{type(self).model_fields[name].alias} is not set")
        if missing:
            raise ConfigError("Settings are missing; docs/settings.md lists them all:", problems=tuple(missing))


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; ``overrides`` use the variable names.

    Raises:
        ConfigError: lists every wrong variable with the expected form; values are not repeated, they may be secret.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = tuple(
            f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False)
        )
    raise ConfigError("Settings are wrong; docs/settings.md lists them all:", problems=problems)
