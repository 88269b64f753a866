"""Whoever must act is told once per incident, and once more when it is over."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import ConfigError, SourceUnavailable, TooManyRejects
from etl.redaction import register_secret
from tests.dags.smtp import MailBox


class Receiver:
    """A webhook on loopback that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test reads the bodies."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/robot/send?key=robot-key-canary"

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook nobody is connected to yet."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def home(airflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``HESI_ERP_HOME`` of each test."""
    monkeypatch.setenv("HESI_ERP_HOME", str(tmp_path))
    return tmp_path


def connect(monkeypatch: pytest.MonkeyPatch, audience: str, **parts: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_HESI_NOTIFY_{audience.upper()}", json.dumps(parts))


def failure(error: object, *, dag_id: str = "claims_nightly", task_id: str = "load") -> dict[str, Any]:
    """The context Airflow hands to a callback."""
    return {"ti": SimpleNamespace(dag_id=dag_id, task_id=task_id), "run_id": "scheduled__2026-11-24", "exception": error}


def test_the_same_incident_is_told_once_and_its_end_once_more(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure, report_recovery

    connect(monkeypatch, "it", conn_type="http", password=receiver.url)
    for _ in range(3):
        report_failure(failure(SourceUnavailable("Hesi does not answer")))
    [told] = receiver.texts
    assert told.startswith("[请 IT 处理 IT action] claims_nightly load: SOURCE_UNAVAILABLE")
    assert "Hesi does not answer" in told
    assert "docs/runbook.md, SOURCE_UNAVAILABLE" in told

    report_recovery("claims_incremental", "20261124T000000000-0000")
    assert len(receiver.texts) == 1
    report_recovery("claims_nightly", "20261124T000000000-0000")
    assert receiver.texts[1].startswith("已恢复 recovered: claims_nightly SOURCE_UNAVAILABLE")
    assert "failures meanwhile: 3" in receiver.texts[1]
    report_recovery("claims_nightly", "20261125T000000000-0000")
    assert len(receiver.texts) == 2


def test_another_cause_or_another_dag_is_another_incident(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure

    connect(monkeypatch, "it", conn_type="http", password=receiver.url)
    report_failure(failure(SourceUnavailable("a")))
    report_failure(failure(KeyError("a bug")))
    report_failure(failure(SourceUnavailable("a"), dag_id="reference_data"))
    assert len(receiver.texts) == 3


def test_finance_hears_what_finance_can_repair_and_it_the_rest(receiver: Receiver, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure

    connect(monkeypatch, "finance", conn_type="http", password=receiver.url, extra={"format": "wecom"})
    report_failure(failure(TooManyRejects("40 of 100 claims were rejected"), task_id="validate"))
    report_failure(failure(SourceUnavailable("Hesi does not answer")))
    [body] = receiver.bodies
    assert body["msgtype"] == "text"
    assert body["text"]["content"].startswith("[请财务处理 finance action] claims_nightly validate: TOO_MANY_REJECTS")


def test_a_message_that_could_not_be_sent_is_tried_again_at_the_next_failure(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hesi_erp.notify import report_failure

    caplog.set_level(logging.DEBUG)
    connect(monkeypatch, "it", conn_type="http", password=receiver.url)
    receiver.status = 500
    report_failure(failure(SourceUnavailable("down")))
    receiver.status = 200
    report_failure(failure(SourceUnavailable("down")))
    report_failure(failure(SourceUnavailable("down")))
    assert len(receiver.texts) == 2
    assert "notify_failed audience=it" in caplog.text
    assert "found 500" in caplog.text
    assert "robot-key-canary" not in caplog.text


def test_without_a_channel_the_log_has_the_message(caplog: pytest.LogCaptureFixture) -> None:
    from hesi_erp.notify import report_failure

    report_failure(failure(SourceUnavailable("Hesi does not answer")))
    assert "incident audience=it subject=[请 IT 处理 IT action] claims_nightly load: SOURCE_UNAVAILABLE" in caplog.text


def test_neither_secrets_nor_names_nor_foreign_messages_leave_in_a_message(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure

    register_secret("secret-of-a-tenant")
    connect(monkeypatch, "it", conn_type="http", password=receiver.url)
    report_failure(failure(SourceUnavailable("GET /x?accessToken=token-canary with secret-of-a-tenant, phone 13812345678")))
    report_failure(failure(ValueError("row: 张三 6222020200112233445")))
    sent = "\n".join(receiver.texts)
    assert "ValueError" in sent
    assert not [needle for needle in ("token-canary", "secret-of-a-tenant", "13812345678", "张三", "6222020200112233445") if needle in sent]


def test_a_task_that_was_killed_is_an_incident_too(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure

    connect(monkeypatch, "it", conn_type="http", password=receiver.url)
    report_failure(failure(None))
    assert receiver.texts[0].startswith("[请 IT 处理 IT action] claims_nightly load: TASK_LOST")


def test_wrong_settings_are_told_even_though_they_hide_the_home(airflow: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure

    monkeypatch.setenv("AIRFLOW_HOME", str(airflow / "elsewhere"))
    monkeypatch.setenv("HESI_ERP_HOME", "relative")
    connect(monkeypatch, "finance", conn_type="http", password=receiver.url)
    report_failure(failure(ConfigError("HESI_ERP_HOME is wrong"), task_id="begin"))
    assert "CONFIG_ERROR" in receiver.texts[0]
    assert len(list((airflow / "elsewhere" / "incidents").glob("*.json"))) == 1


@pytest.mark.parametrize("address", ["http://robots.example/send", "ftp://127.0.0.1/", "http://127.0.0.1.example/", ""])
def test_a_webhook_is_https_or_on_this_machine(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.channels import channel_of

    connect(monkeypatch, "it", conn_type="http", password=address)
    with pytest.raises(ConfigError, match="expected an https address in the password field"):
        channel_of("it")


def test_a_mail_connection_sends_one_mail_to_all_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    from hesi_erp.notify import report_failure

    with MailBox() as box:
        people = {"from": "erp@example.com", "to": ["it@example.com", "ops@example.com"]}
        connect(monkeypatch, "it", conn_type="smtp", host="127.0.0.1", port=box.port, extra=people)
        report_failure(failure(SourceUnavailable("Hesi does not answer")))
    [mail] = box.mails
    assert (mail["To"], mail["From"]) == ("it@example.com, ops@example.com", "erp@example.com")
    assert "SOURCE_UNAVAILABLE" in str(mail["Subject"])
    assert "Hesi does not answer" in mail.get_content()


def test_open_incidents_are_private_files(home: Path) -> None:
    from hesi_erp.notify import report_failure

    report_failure(failure(SourceUnavailable("down")))
    [path] = (home / "incidents").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
