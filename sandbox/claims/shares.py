"""Apportionments of a claim line: shares that add up to the cent, whatever their percentages say (section 5.4)."""

from random import Random
from typing import NamedTuple

from sandbox.ids import CORPORATION, Kind, line_number, opaque, template_version
from sandbox.master import Master
from sandbox.money import Json, line_money

_TEMPLATES = {name: f"{CORPORATION}:{name}:{template_version(name)}" for name in ("报销部门分摊", "报销部门&项目分摊")}


class Share(NamedTuple):
    """One share of a line: who bears it and how much, in cents."""

    department: str
    project: str
    cents: int


def draw_shares(total: int, departments: list[str], master: Master, *, random: Random) -> list[Share]:
    """Two to four shares adding up to `total`; one split in fifty takes something back from a department."""
    count = min(2 + int(random.random() * 3), len(departments))
    chosen = random.sample(departments, count)
    weights = [1 + int(random.random() * 5) for _ in chosen]
    cents = [total * weight // sum(weights) for weight in weights]
    if count > 2 and random.random() < 0.03:
        cents[0] = -(total * 2 // 15)
    cents[-1] = total - sum(cents[:-1])
    return [
        Share(department, project_of(department, master, random), part)
        for department, part in zip(chosen, cents, strict=True)
    ]


def project_of(department: str, master: Master, random: Random) -> str:
    """A project where the department's costs need one, else an empty text."""
    if department not in master.research_ids:
        return ""
    return master.project_ids[int(random.random() * len(master.project_ids))]


def apportions(claim: int, line: int, shares: list[Share], *, currency: str, random: Random) -> list[Json]:
    """The `apportions[]` of a line; percentages have two decimals and the last absorbs the rounding."""
    total = sum(share.cents for share in shares)
    points = [round(share.cents * 10_000 / total) for share in shares]
    points[-1] = 10_000 - sum(points[:-1])
    with_project = any(share.project for share in shares)
    template = _TEMPLATES["报销部门&项目分摊" if with_project else "报销部门分摊"]
    rows = []
    for number, (share, point) in enumerate(zip(shares, points, strict=True)):
        form: Json = {
            "apportionId": opaque(Kind.SHARE, line_number(claim, line) * 8 + number),
            "apportionMoney": line_money(share.cents, currency, random.random),
            "apportionPercent": f"{'-' if point < 0 else ''}{abs(point) // 100}.{abs(point) % 100:02d}",
            "expenseDepartment": share.department,
        }
        if share.project:
            form["项目"] = share.project
        rows.append({"apportionForm": form, "specificationId": template})
    return rows
