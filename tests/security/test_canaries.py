"""Secrets that must never be seen again, sent down every path that ends in an exception, a log line or a message."""

from __future__ import annotations

import ast
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest

from etl.config.settings import PROJECT, Settings, load_settings
from etl.erp.database import DatabaseSink
from etl.erp.engine import open_engine
from etl.errors import EtlError
from etl.hesi.endpoints import Endpoint
from etl.hesi.transport import Untrusted
from etl.redaction import redact
from etl.store.ledger import Ledger
from tests.security.hesi_answers import ENDPOINTS, KEY, REFRESH, SECRET, TOKEN, FakeHesi, call
from tests.support.answers import Answers

SECRETS = (SECRET, TOKEN, REFRESH)
NEEDLES = {form for secret in SECRETS for form in (secret, quote(secret, safe=""), quote_plus(secret), secret.partition("$")[2] or secret)}


def echo(request: httpx.Request) -> str:
    """Everything a careless server could send back."""
    return f"{request.method} {request.url} accessToken={TOKEN} {TOKEN} appSecurity {SECRET} refresh {REFRESH} {request.content.decode()}"


ANSWERS: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    **{
        f"plain text {status}": lambda request, status=status: httpx.Response(status, text=echo(request))
        for status in (400, 401, 403, 404, 409, 412, 422, 429, 500, 502, 503, 504)
    },
    **{
        f"a JSON error {status}": lambda request, status=status: httpx.Response(
            status, json={"errorCode": status, "errorMessage": echo(request), "error": echo(request)}
        )
        for status in (200, 400, 403, 412, 500)
    },
    "a failure that answers 200": lambda request: httpx.Response(
        200, json={"code": 500, "message": echo(request), "success": False, "value": {"code": 1, "msg": echo(request)}}
    ),
    "HTML": lambda request: httpx.Response(200, html=f"<html>{echo(request)}</html>"),
    "no JSON": lambda request: httpx.Response(200, text=echo(request)),
    "another envelope": lambda request: httpx.Response(200, json={echo(request): echo(request)}),
    "nothing": lambda _: httpx.Response(200, content=b""),
    "a redirect": lambda request: httpx.Response(302, headers={"Location": str(request.url)}),
    "a pause": lambda request: httpx.Response(429, headers={"Retry-After": "99999999"}, text=echo(request)),
    "an odd pause": lambda request: httpx.Response(429, headers={"Retry-After": echo(request)}, text=echo(request)),
    "a lost connection": lambda request: _fail(httpx.ConnectError(echo(request))),
    "a slow connection": lambda request: _fail(httpx.ReadTimeout(echo(request))),
    "a broken protocol": lambda request: _fail(httpx.RemoteProtocolError(echo(request))),
    "a bad certificate": lambda request: _fail(Untrusted(echo(request))),
}


def _fail(error: Exception) -> httpx.Response:
    raise error


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def seen(error: BaseException) -> str:
    """All that a log, a terminal, an XCom or a debugger's summary would show of an exception."""
    parts = [text for link in chain(error) for text in (str(link), repr(link), repr(link.args), repr(vars(link)))]
    return "\n".join([*parts, *traceback.format_exception(error)])


def found_in(text: str, needles: Iterator[str] | set[str] = NEEDLES) -> list[str]:
    return [needle for needle in needles if needle in text]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_no_failing_call_shows_a_secret_in_its_exception_or_its_log(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    for answer in ANSWERS.values():
        with FakeHesi(answer).client() as client:
            shown += [repr(client)]
            try:
                call(client, endpoint)
            except EtlError as error:
                shown.append(seen(error))
    assert endpoint.name in {"getAccessToken", "location"} or len(shown) >= 2 * len(ANSWERS) - 3
    assert found_in("\n".join(shown)) == []
    assert found_in("\n".join(redact(record.getMessage()) for record in caplog.records)) == []
    assert found_in("\n".join(record.getMessage() for record in caplog.records if record.name.startswith("etl"))) == []


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_refused_sign_in_shows_neither_key_nor_secret(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    hesi = FakeHesi(answer)
    with hesi.client() as client:
        client._exchange._transport = Answers(answer)  # the fixture would sign in by itself
        with pytest.raises(EtlError) as told:
            call(client, next(endpoint for endpoint in ENDPOINTS if endpoint.name == "feeTypes"))
    assert found_in(seen(told.value)) == []


PASSWORD = "canary p@ss/w:rd%21"
QUOTED = quote(PASSWORD, safe="")
DATABASES = [
    f"postgresql+psycopg://erp:{QUOTED}@127.0.0.1:9/erp",
    f"postgresql://erp:{QUOTED}@127.0.0.1:9/erp",
    f"postgresql://erp:{QUOTED}@/erp?host=/nowhere&connect_timeout=1",
    f"postgresql://erp@127.0.0.1:9/erp?password={QUOTED}",
    f"mysql://erp:{QUOTED}@127.0.0.1:9/erp",
    f"oracle://erp:{QUOTED}@127.0.0.1:9/erp",
    f"nonsense+driver://erp:{QUOTED}@host/erp",
    f"sqlite:///nowhere/{'x' * 300}/erp.db",
]
PASSWORDS = {PASSWORD, quote_plus(PASSWORD), QUOTED}


@pytest.mark.parametrize("url", DATABASES)
def test_a_database_that_cannot_be_opened_does_not_show_its_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for opening in (lambda: DatabaseSink.open(url).prepare(), lambda: Ledger.open(url)):
        with pytest.raises((EtlError, OSError)) as told:
            opening()
        if isinstance(told.value, EtlError):
            assert found_in(seen(told.value), PASSWORDS) == []
    assert found_in(caplog.text, PASSWORDS) == []


def test_an_engine_never_prints_its_password() -> None:
    engine = open_engine(DATABASES[0])
    assert found_in(f"{engine!r} {engine.url}", PASSWORDS) == []


WRONG = "canary-wrong-value-5a19 with blanks"


@pytest.mark.parametrize("alias", [str(field.alias) for field in Settings.model_fields.values()])
def test_no_wrong_setting_repeats_the_value_it_refuses(alias: str) -> None:
    values = {alias: f"{WRONG} \0"}
    try:
        shown = repr(load_settings(**values)) if alias in {str(Settings.model_fields[name].alias) for name in Settings.SECRET_FIELDS} else ""
    except EtlError as error:
        shown = seen(error)
    assert WRONG not in shown


def test_settings_print_no_secret() -> None:
    secrets = {
        "HESI_APP_KEY": KEY,
        "HESI_APP_SECURITY": SECRET,
        "ERP_URL": DATABASES[0],
        "HESI_ERP_LEDGER_URL": DATABASES[0],
        "HESI_ERP_SIGNING_KEY": "ab" * 32,
    }
    settings = load_settings(**secrets)
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert found_in(shown, {*NEEDLES, *PASSWORDS, KEY, "ab" * 32}) == []


SECRET_NAMES = {
    "app_security",
    "app_key",
    "signing_key",
    "raw_keys",
    "get_secret_value",
    "erp_url",
    "ledger_url",
    "password",
    "_app_security",
    "_app_key",
    "token",
}


def leaking(path: Path, text: str) -> Iterator[str]:
    """Raise and log statements that would put a secret into their words."""
    for node in ast.walk(ast.parse(text)):
        logs = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"debug", "info", "warning", "error", "critical", "exception"}
        )
        if not (isinstance(node, ast.Raise) or logs):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.FormattedValue) or (logs and isinstance(part, ast.Name | ast.Attribute)):
                names = {each.id for each in ast.walk(part) if isinstance(each, ast.Name)} | {
                    each.attr for each in ast.walk(part) if isinstance(each, ast.Attribute)
                }
                if names & SECRET_NAMES:
                    yield f"{path}:{node.lineno}: {sorted(names & SECRET_NAMES)}"


def test_no_raise_and_no_log_line_of_the_product_names_a_secret() -> None:
    files = [path for folder in ("etl", "plugins", "dags") for path in (PROJECT / folder).rglob("*.py")]
    raises = sum(isinstance(node, ast.Raise) for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    assert raises > 150
    assert [problem for path in files for problem in leaking(path.relative_to(PROJECT), path.read_text(encoding="utf-8"))] == []


def test_the_rule_finds_a_raise_that_leaks() -> None:
    assert list(leaking(Path("x.py"), "def f(settings):\n    raise ValueError(f'bad {settings.app_security.get_secret_value()}')"))
    assert list(leaking(Path("x.py"), "log.info('using %s', settings.erp_url)"))
    assert not list(leaking(Path("x.py"), "raise ValueError(f'bad {host}')"))
