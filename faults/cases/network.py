"""The way to Hesi and to the ERP database: names nobody knows, certificates nobody should trust, TLS of yesterday."""

from __future__ import annotations

import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from faults.case import Case, fired
from faults.certificates import FLAWS, Issued, issue
from faults.world import World
from sandbox.server import listen, uvicorn_server

NOBODY = "https://hesi.invalid"  # a name that never resolves (RFC 6761)
_OLD = "TLS 1.1 only"


def cases() -> Iterator[Case]:
    """Each is repaired before the next run."""
    for seed in (1, 2, 3):
        yield Case("source", "name of Hesi does not resolve", "base address", seed, unresolved)
        yield Case("database", "name of the server does not resolve", "ERP_URL", seed, unresolved_database)
        for flaw in (*FLAWS, _OLD):
            yield Case("source", "TLS failure", flaw, seed, partial(untrusted, flaw=flaw))


def unresolved(world: World) -> str:
    """The base address names a host that does not exist."""
    ended = world.run(HESI_BASE_URL=NOBODY)
    fired(ended.code == "SOURCE_UNAVAILABLE", f"the failed look-up instead of {ended.told}")
    assert not world.vouchers, "posted without a source"
    return f"{ended.told}, nothing posted; with the right name the next run ended well"


def unresolved_database(world: World) -> str:
    """ERP_URL names a host that does not exist."""
    ended = world.run(ERP_URL="postgresql+psycopg://erp@db.invalid/erp")
    fired(ended.code == "SINK_UNAVAILABLE", f"the failed look-up instead of {ended.told}")
    return f"{ended.told}; with the right name the next run ended well"


def untrusted(world: World, flaw: str) -> str:
    """Hesi answers over TLS that must not be accepted; over good TLS at the same kind of address the next run ends well."""
    with _serving(world, issue(world.folder, "" if flaw == _OLD else flaw), old=flaw == _OLD) as address:
        ended = world.run(HESI_BASE_URL=address)
    fired(ended.code == ("SOURCE_UNAVAILABLE" if flaw == _OLD else "HOST_REFUSED"), f"the refusal instead of {ended.told}: {ended.message}")
    assert not world.hesi.requests, "something was asked over a connection that must not be trusted"
    assert not world.vouchers, "posted without a source"
    world.hesi.faults.add("status", path="/location", times=0, status=200, text='{"value":null}')  # the sandbox itself speaks plain HTTP
    with _serving(world, issue(world.folder)) as address:
        good = world.run(HESI_BASE_URL=address)
    assert good.well, f"{good.told}: {good.message}"
    return f"{ended.told}, no request sent, nothing posted; with a good certificate the next run ended well"


@contextmanager
def _serving(world: World, issued: Issued, *, old: bool = False) -> Iterator[str]:
    """The sandbox over TLS; runs trust what the certificate's client would."""
    http = uvicorn_server(world.hesi.server, lambda: None)
    http.config.ssl_certfile = str(issued.chain)
    http.config.load()
    if old:
        _only_tls_1_1(http.config.ssl)
    world.environment["SSL_CERT_FILE"] = str(issued.trusted)
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=http.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    http.should_exit = True
    thread.join(20)


def _only_tls_1_1(context: ssl.SSLContext | None) -> None:
    assert context is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
