"""Which company of the mappings a claim, a department or a paying account belongs to.

Pure. Sources: hesi-openapi 4 (法人实体 on the form or inherited along the department tree); accounting-rules 24.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from etl.config.mapping import Mappings
from etl.reference import Reference
from etl.steps.lookups import Problem, first_hit, look_up
from etl.steps.staged import StagedColumns

NOWHERE = -1
Array = npt.NDArray[Any]


class Companies:
    """Look-ups over all companies of a run; a company is its position in ``mappings.companies``."""

    def __init__(self, mappings: Mappings, reference: Reference) -> None:
        self.codes = [company.company.code for company in mappings.companies]
        self.paths = tuple(dict.fromkeys(path for company in mappings.companies for path in company.fields.company))
        self._reference = reference
        self._entities: dict[str, int] = {}
        self._banks: dict[str, int] = {}
        for index, company in enumerate(mappings.companies):
            self._entities |= dict.fromkeys((*company.company.hesi.ids, *company.company.hesi.codes), index)
            self._banks |= dict.fromkeys((bank.hesi for bank in company.bank_accounts), index)
        self._departments = [path.partition(".")[2] for path in self.paths if path.startswith("department.")]

    def of_claims(self, staged: StagedColumns) -> tuple[Array, Array]:
        """Company of every claim, NOWHERE where there is none; and the value that names its legal entity in Hesi."""
        columns = []
        for path in self.paths:
            level, _, key = path.partition(".")
            if level == "form" and path in staged.claims:
                columns.append(staged.claims[path])
            elif level == "department":
                columns.append(look_up(lambda id_, key=key: self._inherited(id_, key), staged.claims["department_id"]))
        values = first_hit(columns) if columns else np.full(len(staged.claims["claim_id"]), "", dtype=object)
        return look_up(self._of_entity, values).astype(np.int64), values

    def other_bank(self, own: int, *keys: str) -> Problem | None:
        """Why a paying account, by its Hesi id or code, is none of company ``own``; None where no company lists it."""
        index = next((self._banks[key] for key in keys if key in self._banks), NOWHERE)
        if index in (own, NOWHERE):
            return None
        return "INTERCOMPANY", f"the paying account belongs to {self.codes[index]}, the claim to {self.codes[own]}"

    def other_department(self, own: int, department_id: str) -> Problem | None:
        """Why a share cannot be borne by company ``own``: its department's legal entity, inherited from above, is another's."""
        entity = next((value for key in self._departments if (value := self._inherited(department_id, key))), "")
        index = self._of_entity(entity)
        if index in (own, NOWHERE):
            return None
        return "INTERCOMPANY", f"department {department_id} belongs to {self.codes[index]}, the claim to {self.codes[own]}"

    def _of_entity(self, value: str) -> int:
        item = self._reference.dimension_items.get(value)
        names = (value, item.code if item else "", item.name if item else "")
        return next((self._entities[name] for name in names if name in self._entities), NOWHERE)

    def _inherited(self, department_id: str, key: str) -> str:
        """A field of the department's own form, else of the nearest department above that has it."""
        seen: set[str] = set()
        while department_id in self._reference.departments and department_id not in seen:
            seen.add(department_id)
            department = self._reference.departments[department_id]
            if department.form.get(key):
                return department.form[key]
            department_id = department.parent_id
        return ""
