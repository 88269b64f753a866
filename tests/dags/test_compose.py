"""The containers: valid by the Compose schema, reachable from this machine only, no secret in the file."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SCHEMA = json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text(encoding="utf-8"))


def environment() -> dict[str, str]:
    return COMPOSE["services"]["scheduler"]["environment"]  # type: ignore[no-any-return]


def test_the_file_is_valid_by_the_compose_specification() -> None:
    jsonschema.validators.validator_for(SCHEMA)(SCHEMA).validate(COMPOSE)


def test_the_schema_would_refuse_a_mistake() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(SCHEMA)(SCHEMA).validate({**COMPOSE, "services": {"a": {"imagine": "x"}}})


def test_the_services_are_airflow_postgresql_and_the_sandbox() -> None:
    assert set(COMPOSE["services"]) == {"postgres", "init", "api-server", "scheduler", "dag-processor", "triggerer", "sandbox"}


def test_only_the_page_of_airflow_is_published_and_only_on_loopback() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 1
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{AIRFLOW_PORT:-8080\}:8080", port) for port in ports)
    assert not [name for name, service in COMPOSE["services"].items() if service.get("network_mode") == "host"]


def test_the_sandbox_is_on_the_loopback_of_the_container_that_runs_the_tasks() -> None:
    command = COMPOSE["services"]["sandbox"]["command"]
    assert COMPOSE["services"]["sandbox"]["network_mode"] == "service:scheduler"
    assert f"@127.0.0.1:{command[command.index('--port') + 1]}/http" in environment()["AIRFLOW_CONN_HESI"]
    assert "--host" not in command


def test_every_variable_is_explained_and_every_secret_has_to_be_given() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    assert used == set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE))
    for secret in ("POSTGRES_PASSWORD", "AIRFLOW_JWT_SECRET", "AIRFLOW_FERNET_KEY"):
        assert f"${{{secret}:?" in TEXT
        assert re.search(rf"^{secret}=$", example, re.MULTILINE)
        assert f"${{{secret}:-" not in TEXT


def test_the_pool_of_the_posting_tasks_is_made_before_airflow_starts() -> None:
    assert "airflow pools set hesi_posting 1" in COMPOSE["services"]["init"]["command"][-1]
    for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
        assert COMPOSE["services"][name]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}


def test_the_image_installs_the_locked_list_and_runs_as_nobody_special() -> None:
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement requirements.txt" in lines
    assert re.search(r"^USER hesi$", lines, re.MULTILINE)
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".env", ".demo", ".git"} <= set(ignored)
