"""The company of the sandbox: departments, fee types, dimensions and their items (sections 12.1, 12.4, 12.5)."""

from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.clock import beijing_text, instant_of
from sandbox.ids import CORPORATION, Kind, opaque
from sandbox.money import Json

_CREATED = "2026-01-05 09:00:00"
_CREATED_MS = instant_of(_CREATED)
_EVERYONE: Json = {
    "fullVisible": True,
    "staffs": [],
    "roles": [],
    "departments": [],
    "departmentsIncludeChildren": True,
}


class Company(NamedTuple):
    """A legal entity and what its claims use."""

    code: str
    name: str
    currency: str
    general_taxpayer: bool
    account_code: str
    tax_number: str


COMPANIES = (
    Company(
        "C01",
        "示例科技（上海）有限公司",
        "CNY",
        general_taxpayer=True,
        account_code="BANK-CNY-01",
        tax_number="91310000DEMO00001X",
    ),
    Company(
        "C02",
        "示例科技（苏州）有限公司",
        "CNY",
        general_taxpayer=True,
        account_code="BANK-CNY-02",
        tax_number="91320500DEMO00002X",
    ),
    Company(
        "C03",
        "Example Technology (HK) Limited",
        "HKD",
        general_taxpayer=False,
        account_code="BANK-HKD-01",
        tax_number="",
    ),
)

# key, code, name, parent key, company, active; the key names a row here where codes are empty or repeated.
_DEPARTMENTS = (
    ("D10", "D10", "管理部", "", "C01", True),
    ("D11", "D11", "财务部", "D10", "C01", True),
    ("D12", "D12", "人力资源部", "D10", "C01", True),
    ("D20", "D20", "销售部", "", "C01", True),
    ("D21", "D21", "华东销售部", "D20", "C01", True),
    ("D22", "D22", "华南销售部", "D20", "C01", True),
    ("D30", "D30", "研发部", "", "C01", True),
    ("D31", "D31", "平台研发部", "D30", "C01", True),
    ("D40", "D40", "制造部", "", "C02", True),
    ("D41", "D41", "一车间", "D40", "C02", True),
    ("D50", "D50", "香港公司", "", "C03", True),
    ("no-code", "", "销售支持组", "D20", "C01", True),
    ("D77-a", "D77", "总经办", "D10", "C01", True),
    ("D77-b", "D77", "法务部", "D10", "C01", True),
    ("D90", "D90", "原市场部", "D20", "C01", False),
)
_RESEARCH = ("D30", "D31")
_COMMON_DEPARTMENTS = {
    "C01": ("D10", "D11", "D12", "D20", "D21", "D22", "D30", "D31"),
    "C02": ("D40", "D41"),
    "C03": ("D50",),
}
_ODD_DEPARTMENTS = ("no-code", "D77-a", "D77-b", "D90")


class FeeType(NamedTuple):
    """A fee type as the claims use it."""

    code: str
    name: str
    id: str
    lowest: int
    highest: int


# code, name, parent code, local id (empty = an id without the corporation prefix), lowest and highest amount in cents
_FEE_TYPES = (
    ("TRAVEL", "差旅", "", "travel", 3000, 90000),
    ("TRAVEL-AIR", "机票", "TRAVEL", "flight", 52000, 320000),
    ("TRAVEL-RAIL", "火车票", "TRAVEL", "train", 4500, 98000),
    ("TRAVEL-TAXI", "市内交通", "TRAVEL", "taxi", 1200, 22000),
    ("TRAVEL-HOTEL", "住宿", "TRAVEL", "hotel", 21000, 260000),
    ("ENTERTAIN", "招待", "", "entertain", 16000, 420000),
    ("MEETING", "会议", "", "meeting", 50000, 3800000),
    ("OFFICE", "办公", "", "office", 1800, 560000),
    ("WELFARE", "福利", "", "", 9000, 700000),
    ("TRAINING", "培训", "", "", 30000, 900000),
    ("OLD-GIFT", "礼品（停用）", "", "gift", 5000, 90000),
)

_PROJECT_NAMES = (
    "新一代平台", "数据中台", "移动端重构", "智能报表", "边缘网关", "工艺优化",
    "绿色产线", "客户门户", "供应链协同", "质量追溯", "低代码引擎", "算法实验室",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Master:
    """Rows as the API serves them, and the lookups the claims are built with."""

    departments: list[Json]
    fee_types: list[Json]
    dimensions: list[Json]
    items: list[Json]
    department_ids: dict[str, str]
    fees: dict[str, FeeType]
    entity_ids: dict[str, str]
    project_ids: list[str]
    research_ids: frozenset[str]
    common_departments: dict[str, list[str]]
    odd_departments: list[str]
    fee_names: dict[str, Json] = field(default_factory=dict)


def build_master() -> Master:
    """The master data, the same for every seed so that a mapping can be written once."""
    ids = {row[0]: f"{CORPORATION}:{opaque(Kind.DEPARTMENT, n)}" for n, row in enumerate(_DEPARTMENTS)}
    entities = {company.code: opaque(Kind.DIMENSION_ITEM, n) for n, company in enumerate(COMPANIES)}
    projects = [opaque(Kind.DIMENSION_ITEM, 100 + n) for n in range(len(_PROJECT_NAMES))]
    fee_rows, fees = _fee_types()
    return Master(
        departments=_department_rows(ids, entities),
        fee_types=fee_rows,
        dimensions=_dimension_rows(),
        items=_item_rows(entities, projects),
        department_ids=ids,
        fees=fees,
        entity_ids=entities,
        project_ids=projects,
        research_ids=frozenset(ids[key] for key in _RESEARCH),
        common_departments={code: [ids[key] for key in keys] for code, keys in _COMMON_DEPARTMENTS.items()},
        odd_departments=[ids[key] for key in _ODD_DEPARTMENTS],
        fee_names={row["id"]: row for row in fee_rows},
    )


def _department_rows(ids: dict[str, str], entities: dict[str, str]) -> list[Json]:
    root: Json = {
        "id": CORPORATION, "name": "示例集团", "parentId": "", "active": True, "code": "001",
        "updateTime": _CREATED, "createTime": _CREATED, "form": {"costCenter": "", "legalEntity": ""}, "order": 0,
    }  # fmt: skip
    rows = [root]
    for order, (key, code, name, parent, company, active) in enumerate(_DEPARTMENTS, start=1):
        changed = beijing_text(_CREATED_MS + order * 3_600_000)
        rows.append(
            {
                "id": ids[key], "name": name, "parentId": ids[parent] if parent else CORPORATION, "active": active,
                "code": code, "updateTime": changed, "createTime": _CREATED,
                "form": {"costCenter": "", "legalEntity": entities[company]}, "order": order,
            }
        )  # fmt: skip
    return rows


def _fee_types() -> tuple[list[Json], dict[str, FeeType]]:
    fees = {}
    for number, (code, name, _parent, local, lowest, highest) in enumerate(_FEE_TYPES):
        identifier = f"{CORPORATION}:{local}" if local else opaque(Kind.FEE_TYPE, number)
        fees[code] = FeeType(code, name, identifier, lowest, highest)
    rows = [
        {
            "id": fees[code].id,
            "name": name,
            "parentId": fees[parent].id if parent else "",
            "active": code != "OLD-GIFT",
            "code": code,
        }
        for code, name, parent, _local, _lowest, _highest in _FEE_TYPES
    ]
    return rows, fees


def _dimension_rows() -> list[Json]:
    names = (("项目", "DA001"), ("法人实体", "FRST"), ("成本中心预置", "CC001"))
    return [{"id": f"{CORPORATION}:{name}", "name": name, "active": True, "code": code} for name, code in names]


def _item_rows(entities: dict[str, str], projects: list[str]) -> list[Json]:
    rows = []
    for company in COMPANIES:
        extras = {
            "taxpayerType": "GeneralTaxpayer" if company.general_taxpayer else "",
            "baseCurrencyId": opaque(Kind.CURRENCY, 50) if company.currency == "HKD" else "",
            "taxNumber": company.tax_number,
        }
        rows.append(_item(entities[company.code], company.name, company.code, "法人实体", extras))
    for number, name in enumerate(_PROJECT_NAMES):
        rows.append(_item(projects[number], name, f"P{number + 1:03d}", "项目", {"projectType": "研发"}))
    rows.append(_item(opaque(Kind.DIMENSION_ITEM, 900), "已结项目", "P900", "项目", {}, active=False))
    return rows


def _item(identifier: str, name: str, code: str, dimension: str, extras: Json, *, active: bool = True) -> Json:
    """The `withAll` form of an item; the plain list serves a selection of its keys."""
    form = {"taxpayerType": "", "postType": "", "rankType": "", "baseCurrencyId": "", "projectType": "", **extras}
    return {
        "pipeline": 1, "grayver": "9.87.0.0-prd", "version": 1, "active": active,
        "createTime": _CREATED_MS, "updateTime": _CREATED_MS, "name": name, "nameSpell": code, "code": code,
        "corporationId": CORPORATION, "sourceCorporationId": None, "dataCorporationId": None, "parentId": "",
        "id": identifier, "dimensionId": f"{CORPORATION}:{dimension}", "channel": "MANUAL", "orders": _CREATED_MS,
        "visibility": _EVERYONE, "payAccountIds": [], "form": form, "sourceCorpId": None,
        "taxpayerType": extras.get("taxpayerType") or None, "permissions": [{"name": "ALL", "auth": True}],
        "leaf": True,
    }  # fmt: skip
