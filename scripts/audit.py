"""Says whether the locked packages have known vulnerabilities: ``python scripts/audit.py requirements.txt``.

pip-audit exits 0 and speaks of "no known vulnerabilities" when the advisory service knew none of the packages. Here such
a package is *unaudited*, which is printed and never called clean. Exit code 1 only when a vulnerability is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SECONDS = 120


def audit(requirements: str) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of every package, and why it could not answer (empty when it did)."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", requirements, "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - our own arguments
    except subprocess.TimeoutExpired:
        return [], f"no answer within {SECONDS} s"
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines()
        return [], lines[-1] if lines else f"pip-audit ended with exit code {done.returncode}"


def verdict(packages: Sequence[dict[str, Any]], reason: str) -> tuple[int, list[str]]:
    """Exit code, and the lines to print."""
    known = [
        f"{package['name']} {package['version']}: {item['id']}, fixed in {', '.join(item['fix_versions']) or 'no release yet'}"
        for package in packages
        for item in package.get("vulns", ())
    ]
    unaudited = [package for package in packages if "skip_reason" in package]
    audited = len(packages) - len(unaudited)
    lines = [*known]
    if reason or not packages:
        lines.append(f"unaudited: {reason or 'pip-audit named no package'}")
    elif unaudited:
        lines.append(f"unaudited: {len(unaudited)} of {len(packages)} packages, e.g. {unaudited[0]['skip_reason']}")
    if audited:
        lines.append(f"audited: {audited} packages, {len(known)} known vulnerabilities")
    return (1 if known else 0), lines


def main() -> int:
    """Exit code of the command line above."""
    code, lines = verdict(*audit(sys.argv[1]))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return code


if __name__ == "__main__":
    sys.exit(main())
