"""A small mapping folder that is right, so that each test breaks exactly one thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etl.config.load import load_mappings
from etl.errors import ConfigError

CHART = """\
version: "1"
name: main
accounts:
  - {code: "1001", name: Bank}
  - {code: "1122", name: Advances, dimensions: {employee: required}}
  - {code: "1123", name: Prepayments, dimensions: {supplier: required}}
  - {code: "2001", name: Owed to staff, dimensions: {employee: required}}
  - {code: "2002", name: Owed to suppliers, dimensions: {supplier: required}}
  - {code: "2221", name: Input VAT}
  - {code: "6601", name: Travel, dimensions: {department: required}}
  - {code: "6602", name: Research travel, dimensions: {department: required, project: required}}
"""
VAT = """\
version: "1"
name: land
kinds:
  - {kinds: [SPECIAL], method: face}
  - {kinds: [train], method: formula, rate: 9, base: [gross], to: 2025-12-31}
"""
COMPANY = """\
version: "1"
owner: Finance
company:
  code: A
  name: Company A
  book: A-MAIN
  base_currency: CNY
  hesi: {codes: [ENTITY-A]}
  taxpayer:
    - {kind: general}
chart: main
dimensions:
  - {type: department, from: [share.expenseDepartment], source: department}
  - {type: project, from: [share.u_project], source: dimension_item}
department_classes:
  - {class: admin, departments: {codes: [D1]}}
  - {class: research, departments: {codes: [D2]}}
fee_types:
  - fee: {codes: [TRAVEL]}
    label: travel
    accounts: {admin: "6601", research: "6602"}
payables: {employee: "2001", supplier: "2002"}
loans: {employee: "1122", supplier: "1123"}
prepayment: "1123"
bank_accounts:
  - {hesi: BANK-A, account: "1001", currency: CNY}
input_vat:
  rules: land
  account: "2221"
  tax_codes: [{rate: 9, code: IN9}]
"""
BUDGET = """\
source: {kind: hesi}
"""
FILES = {"charts/main.yaml": CHART, "vat/land.yaml": VAT, "companies/A.yaml": COMPANY, "budget.yaml": BUDGET}


class MappingFolder:
    """The folder on disk, with ways to break it and to ask what is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Puts a file below the folder."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """Text of a file."""
        return (self.path / name).read_text(encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Changes one passage that must be there exactly once."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def second_company(self, **changes: str) -> None:
        """Adds company B, a copy of A with its own code, entity and bank account, and the changes given as old=new."""
        text = COMPANY.replace("code: A", "code: B").replace("ENTITY-A", "ENTITY-B").replace("BANK-A", "BANK-B")
        for old, new in changes.items():
            text = text.replace(old, new)
        self.write("companies/B.yaml", text)

    def where(self, name: str, fragment: str) -> str:
        """``file:line`` of the only line with this fragment."""
        lines = [n for n, line in enumerate(self.read(name).splitlines(), start=1) if fragment in line]
        assert len(lines) == 1, f"{fragment!r} is on lines {lines} of {name}"
        return f"{name}:{lines[0]}"

    def problems(self) -> list[str]:
        """What loading the folder complains about; a folder that loads has none."""
        try:
            load_mappings(self.path)
        except ConfigError as error:
            return list(error.problems)
        return []


@pytest.fixture
def mappings(tmp_path: Path) -> MappingFolder:
    """A mapping folder without mistakes."""
    return MappingFolder(tmp_path / "mappings")


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a YAML file called ``rules.yaml``."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "rules.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
