"""No secret lies in the repository: every text file is searched for what keys and tokens look like."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.config.settings import PROJECT

PATTERNS = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s)*[A-Za-z0-9+/]{16}"),
    "AWS key id": re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    "Alibaba Cloud key id": re.compile(r"(?<![A-Za-z0-9])LTAI[A-Za-z0-9]{12,20}(?![A-Za-z0-9])"),
    "Tencent Cloud key id": re.compile(r"(?<![A-Za-z0-9])AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    "GitHub token": re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})"),
    "GitLab token": re.compile(r"glpat-[A-Za-z0-9_-]{20,}"),
    "Slack token": re.compile(r"xox[abprs]-[A-Za-z0-9-]{10,}"),
    "PyPI token": re.compile(r"pypi-AgEI[A-Za-z0-9_-]{20,}"),
    "JSON web token": re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "Fernet key": re.compile(r"(?<![A-Za-z0-9_/+-])[A-Za-z0-9_-]{43}=(?![A-Za-z0-9_=])"),
    "chat robot address": re.compile(r"(?:qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=|oapi\.dingtalk\.com/robot/send\?access_token=)[A-Za-z0-9-]{20,}"),
    "password in an address": re.compile(r"[a-z][a-z0-9+]*://[^\s:/@'\"{}$<>]+:(?P<value>[^\s:/@'\"{}$<>]{3,})@[A-Za-z0-9\[]"),
    "assigned secret": re.compile(
        r"(?i)(?:app_?security|app_?secret|api_?key|signing_?key|secret_?key)['\"]?\s*[=:]\s*['\"](?P<value>[A-Za-z0-9+/_=-]{20,})['\"]"
    ),
}
# Values that are plainly examples or made for a test; nothing else passes, whichever file it stands in.
MADE_UP = re.compile(
    r"(?i)^(?:password|secret|pass|word|pw|user|\*+|\.+|x+)$|canary|example|sandbox|made-?up|demo|secret-0815|s3cr3t|another-secret|test|^s3cret-|^secret\d|^hunter2"
)
LARGEST = 2_000_000


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this checkout has no git, so nobody can say which files belong to it")
    return [PROJECT / name.decode() for name in listed.stdout.split(b"\0") if name]


def findings(text: str) -> Iterator[str]:
    """What looks like a secret and is not plainly made up."""
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            value = match.groupdict().get("value") or match[0]
            if not MADE_UP.search(value):
                yield kind


def test_no_file_of_the_repository_holds_a_secret() -> None:
    files = [path for path in tracked() if path.is_file() and path.stat().st_size < LARGEST]
    assert len(files) > 200
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # no text file
        found += [f"{path.relative_to(PROJECT)}: {kind}" for kind in findings(text)]
    assert found == []


def test_no_file_that_holds_secrets_by_its_nature_is_in_the_repository() -> None:
    names = re.compile(r"(^|/)(\.env|id_rsa|id_ed25519|.*\.(pem|key|p12|pfx|jks|kdbx|ovpn))$")
    assert [str(path.relative_to(PROJECT)) for path in tracked() if path.is_file() and names.search(path.relative_to(PROJECT).as_posix())] == []


SAMPLES = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA3Tz2",
    "AWS key id": "AKIA" + "J7QZ4N2XW6RTB5KD",
    "Alibaba Cloud key id": "LTAI" + "5tQkz8WmPq3RnVbX",
    "Tencent Cloud key id": "AKID" + "z8krbsJ5yKBZQpn74WFkmLPx3gnPhESA",
    "GitHub token": "ghp_" + "1Bc4567890aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    "GitLab token": "glpat-" + "Zk3vQ9xRt7LmN2pW5sYb",
    "Slack token": "xoxb-" + "9081726354-KqLmNoPq",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmcCJGQ5ZTkwMTIzNDU2",
    "JSON web token": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.Qk3vR9xRt7LmN2pW5s",
    "Fernet key": "wq3kZ9" + "xRt7LmN2pW5sYbQk3vR9xRt7LmN2pW5sYbQk3=",
    "chat robot address": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=" + "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa",
    "password in an address": "postgresql://erp:" + "Vq8zK2mR@db.internal/erp",
    "assigned secret": "HESI_APP_SECURITY" + ' = "Vq8zK2mRt7LmN2pW5sYb"',
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_each_kind_of_secret_would_be_found(kind: str) -> None:
    assert kind in set(findings(SAMPLES[kind]))


def test_examples_of_the_documentation_are_no_finding() -> None:
    assert list(findings("postgresql+psycopg://user:password@host/erp and HESI_APP_SECURITY=...")) == []
