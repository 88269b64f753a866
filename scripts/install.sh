#!/usr/bin/env bash
# Installs one hashed list and this checkout into ./.venv, once: install.sh requirements.txt | requirements-dev.txt
# uv does it when it is on PATH, else plain pip. A stamp names the exact list, so an edited one is installed again.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$1
venv=.venv
python=${PYTHON:-python3}

fingerprint() {
  "$python" -c 'import hashlib, sys; print(hashlib.sha256(b"".join(open(name, "rb").read() for name in sys.argv[1:])).hexdigest())' "$@"
}

supported='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
if ! "$python" -c "$supported" 2>/dev/null; then
  echo "hesi-erp needs Python 3.11, 3.12 or 3.13; found: $("$python" -V 2>&1). Name another one: make demo PYTHON=python3.12" >&2
  exit 2
fi

# An environment whose interpreter is gone or too old is made anew.
"$venv/bin/python" -c "$supported" 2>/dev/null || rm -rf "$venv"
# Never a shim: the environment is made by exactly the interpreter that was checked.
python=$("$python" -c 'import sys; print(sys.executable)')
stamp=$venv/.installed-$list
wanted=$(fingerprint "$list" pyproject.toml)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi

echo "Installing $list into ./$venv (once; a few minutes on a slow connection) ..." >&2
started=$SECONDS
rm -f "$venv"/.installed-*
if command -v uv >/dev/null 2>&1; then
  [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
  # Copies, not links: the cache and the checkout may be on different disks.
  uv pip install --quiet --python "$venv" --link-mode copy --require-hashes --requirement "$list"
  uv pip install --quiet --python "$venv" --no-build-isolation --no-deps --editable .
else
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$list"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
fi

# The list of the tests contains the product's with the same versions.
[ "$list" = requirements.txt ] || fingerprint requirements.txt pyproject.toml >"$venv/.installed-requirements.txt"
echo "$wanted" >"$stamp"
echo "Installed in $((SECONDS - started)) s." >&2
