#!/usr/bin/env bash
# Every check, then every test. All of them run whatever fails before; the tests come last so that their summary ends the output.
set -uo pipefail
cd "$(dirname "$0")/.."

bin=.venv/bin
failed=()

check() {
  local name=$1
  shift
  printf '== %s\n' "$name"
  "$@" || failed+=("$name")
}

check "ruff: style, security and Airflow rules" $bin/ruff check .
check "mypy: strict types of etl/" $bin/mypy
check "generated pages and schemas are fresh" $bin/python -m etl.config.generate --check
check "pip-audit: known vulnerabilities" $bin/python scripts/audit.py requirements.txt
scripts/browser.sh

if [ ${#failed[@]} -gt 0 ]; then
  printf '== failed: %s\n' "${failed[@]}"
fi
printf '== pytest\n'
# Two processes share the tests; make test WORKERS=0 runs them in one, in order.
$bin/python -m pytest -n "${WORKERS:-2}" --dist loadgroup || exit 1
[ ${#failed[@]} -eq 0 ]
