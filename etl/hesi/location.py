"""The base address of a tenant: checked before any secret is sent to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from etl.errors import ConfigError, HostRefused

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Base:
    """A checked base address without trailing slash, e.g. ``https://app.ekuaibao.com``."""

    url: str
    host: str

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine, i.e. a sandbox."""
        return is_loopback(self.host)


def configured_base(url: str, *, allowed_hosts: Collection[str]) -> Base:
    """The base address given in the settings.

    Raises:
        ConfigError: not an address, a host that is not allowed, or plain http to another machine.
    """
    try:
        return _checked(url, allowed_hosts)
    except HostRefused as error:
        problem = str(error)
    raise ConfigError(f"HESI_BASE_URL: {problem}")


def located_base(answer: Any, *, given: Base, allowed_hosts: Collection[str]) -> Base:
    """The base address that the location call names, or ``given`` when it names none.

    A sandbox on this machine may repeat the documented answer, the public address; its token and our data
    must not travel there, so a loopback base only ever moves to another loopback address.

    Raises:
        HostRefused: an address outside the allowed hosts, or plain http to another machine.
    """
    if not isinstance(answer, str) or not answer.strip():
        return given
    located = _checked(answer.strip(), allowed_hosts)
    if given.is_loopback and not located.is_loopback:
        return given
    if located.is_loopback and not given.is_loopback:
        raise HostRefused(
            f"expected the location call of {given.host} to name a Hesi host, found this machine ({located.host}); nothing was sent there; ask Hesi"
        )
    return located


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine: ``localhost`` or a loopback IP address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(url: str, allowed_hosts: Collection[str]) -> Base:
    try:
        if not url.isprintable():
            raise LocationParseError("unprintable characters")
        parts = parse_url(url)
    except LocationParseError:
        raise HostRefused("expected an address like https://app.ekuaibao.com, found no address") from None
    host = (parts.host or "").strip("[]").rstrip(".")
    if parts.scheme not in _PORTS or not host or parts.auth or parts.query or parts.fragment:
        raise HostRefused(
            f"expected an address like https://app.ekuaibao.com, found {parts.scheme or 'no scheme'} to "
            f"{host or 'no host'}, or one with a user, query or fragment"
        )
    if host not in {allowed.strip("[]").lower() for allowed in allowed_hosts}:
        raise HostRefused(f"expected a host listed in HESI_ALLOWED_HOSTS, found {host}; nothing was sent there; add it only if it is yours")
    if parts.scheme == "http" and not is_loopback(host):
        raise HostRefused(f"expected https, found plain http to {host}; only this machine may be spoken to in clear")
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return Base(url=f"{parts.scheme}://{parts.host}{port}{parts.path or ''}".rstrip("/"), host=host)
