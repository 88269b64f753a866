"""People, payees, paying accounts and currencies of the sandbox (sections 6, 12.2, 12.6)."""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from sandbox.clock import beijing_text, instant_of
from sandbox.ids import CORPORATION, Kind, opaque
from sandbox.master import COMPANIES, Master
from sandbox.money import CURRENCIES, Json

_CREATED = "2026-01-06 10:00:00"
_CREATED_MS = instant_of(_CREATED)
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹"
_GIVEN = (
    "伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "军", "杰", "涛", "超", "明", "霞", "平",
    "梓涵", "子轩", "雨桐", "浩然", "欣怡", "志强", "建华", "𠮷祥",
)  # fmt: skip
_FIRST_STAFF = (("E001", "张三", "D10"), ("E002", "李四", "D20"), ("E003", "王五", "D20"))
_EMPTY_CODES = (10, 20, 30)
_SHARED_CODE = (35, 36)
_SUPPLIERS = (
    "某会务公司", "锦程酒店管理有限公司", "环宇办公用品有限公司", "晨光印务有限公司", "远通物流有限公司",
    "云杉软件有限公司", "华信咨询有限公司", "嘉和餐饮有限公司", "天工机械有限公司", "博文教育科技有限公司",
    "绿源食品有限公司", "正道律师事务所", "启明会计师事务所", "安邦安防有限公司", "Pacific Events Ltd",
)  # fmt: skip
_ACCOUNTS = (
    ("BANK-CNY-01", "工商银行基本户", "工商银行", True),
    ("BANK-CNY-02", "苏州工商银行基本户", "工商银行", True),
    ("BANK-USD-01", "中国银行美元户", "中国银行", True),
    ("BANK-HKD-01", "汇丰银行港元户", "汇丰银行", True),
    ("BANK-OLD-09", "旧建设银行户", "建设银行", True),
)
RATES = {"USD": 71234, "EUR": 78500, "JPY": 478, "HKD": 9123}
_EVERYONE: Json = {
    "fullVisible": True, "staffs": [], "roles": [], "departments": [], "departmentsIncludeChildren": True,
}  # fmt: skip


class Person(NamedTuple):
    """A member of staff as the claims use one."""

    id: str
    code: str
    name: str
    department: str
    payee: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Rows as the API serves them, and the lookups the claims are built with."""

    staffs: list[Json]
    payees: list[Json]
    accounts: list[Json]
    currencies: list[Json]
    people: list[Person]
    by_company: dict[str, list[Person]]
    suppliers: list[str]
    platform: str
    outsiders: list[str]
    account_ids: dict[str, str]
    people_by_id: dict[str, Person]


def build_parties(master: Master, *, staff: int, random: Random) -> Parties:
    """Everybody the claims name; the first three people and all suppliers are the same for every seed."""
    people = [_person(number, master, random) for number in range(staff)]
    supplier_rows = [_supplier(n, f"S{n + 1:03d}", name) for n, name in enumerate(_SUPPLIERS)]
    platform = _supplier(90, "S900", "商旅平台")
    outsiders = [_payee(200 + n, f"外部讲师{n + 1}", "个人账户", owner="INDIVIDUAL", extras={}) for n in range(3)]
    old = _payee(300, "已停用供应商", "对公账户", owner="CORPORATION", extras={"u_供应商编码": "S800"}, active=False)
    account_ids = {row[0]: opaque(Kind.ACCOUNT, n) for n, row in enumerate(_ACCOUNTS)}
    by_company: dict[str, list[Person]] = {company.code: [] for company in COMPANIES}
    for person in people:
        for code, departments in master.common_departments.items():
            if person.department in departments:
                by_company[code].append(person)
    return Parties(
        staffs=[_staff_row(number, person) for number, person in enumerate(people)] + [_left_staff(len(people))],
        payees=[_own_payee(n, person) for n, person in enumerate(people)]
        + supplier_rows
        + [platform]
        + outsiders
        + [old],
        accounts=_account_rows(account_ids),
        currencies=_currency_rows(),
        people=people,
        by_company=by_company,
        suppliers=[row["id"] for row in supplier_rows],
        platform=platform["id"],
        outsiders=[row["id"] for row in outsiders],
        account_ids=account_ids,
        people_by_id={person.id: person for person in people},
    )


def _person(number: int, master: Master, random: Random) -> Person:
    identifier = f"{CORPORATION}:{opaque(Kind.STAFF, number)}"
    payee = opaque(Kind.PAYEE, 1000 + number)
    if number < len(_FIRST_STAFF):
        code, name, department = _FIRST_STAFF[number]
        return Person(identifier, code, name, master.department_ids[department], payee)
    name = _SURNAMES[int(random.random() * len(_SURNAMES))] + _GIVEN[int(random.random() * len(_GIVEN))]
    draw = random.random()
    # The first people cover every company, so that the smallest tenant has somebody everywhere.
    company = (
        ("C01", "C02", "C03")[number - 3] if number < 6 else "C01" if draw < 0.72 else "C02" if draw < 0.93 else "C03"
    )
    departments = master.common_departments[company]
    department = departments[int(random.random() * len(departments))]
    code = "" if number in _EMPTY_CODES else f"E{_SHARED_CODE[0] + 1 if number in _SHARED_CODE else number + 1:03d}"
    return Person(identifier, code, name, department, payee)


def _staff_row(number: int, person: Person) -> Json:
    changed = beijing_text(_CREATED_MS + number * 60_000)
    email = f"demo{number + 1:04d}@example.com"
    return {
        "id": person.id, "name": person.name, "nickName": None if number % 3 else f"小{person.name[0]}",
        "code": person.code, "departments": [person.department], "defaultDepartment": person.department,
        "cellphone": f"1380013{number:04d}", "active": True, "userId": opaque(Kind.STAFF, 50_000 + number),
        "email": email, "showEmail": email.capitalize(), "external": False, "authState": True, "globalRoaming": "+86",
        "note": "", "staffCustomForm": (None, {}, {"u_职级": "P6"})[number % 3],
        "updateTime": changed, "createTime": _CREATED,
    }  # fmt: skip


def _left_staff(number: int) -> Json:
    left = Person(f"{CORPORATION}:{opaque(Kind.STAFF, 99_999)}", "E999", "赵离职", CORPORATION, "")
    return {**_staff_row(number, left), "active": False, "authState": False}


def _payee(
    number: int, name: str, kind: str, *, owner: str, extras: Json, staff: str = "", active: bool = True
) -> Json:
    created = _CREATED_MS + number * 1000
    return {
        "sort": "BANK", "id": opaque(Kind.PAYEE, number), "name": name, "cardNo": f"622200{number:013d}", "type": kind,
        "createTime": created, "updateTime": created, "province": "上海市", "city": "上海市", "bank": "工商银行",
        "branch": "工商银行上海示例支行", "certificateType": "11" if staff else None,
        "certificateNo": f"310101199001{number % 10_000:04d}0X" if staff else None, "bankLinkNo": "102290000000",
        "unionBank": "", "bankName": "", "swiftCode": "", "nationCode": "", "bankCode": "", "branchCode": "",
        "visibility": _EVERYONE, "remark": "", "active": active, "operatorId": "API", "customFields": extras,
        "staffId": staff, "owner": owner,
    }  # fmt: skip


def _own_payee(number: int, person: Person) -> Json:
    return _payee(1000 + number, person.name, "个人账户", owner="INDIVIDUAL", extras={}, staff=person.id)


def _supplier(number: int, code: str, name: str) -> Json:
    return _payee(100 + number, name, "对公账户", owner="CORPORATION", extras={"u_供应商编码": code})


def _account_rows(ids: dict[str, str]) -> list[Json]:
    rows = [_account(ids[code], name, code, bank, active=active) for code, name, bank, active in _ACCOUNTS]
    cash = _account(f"{CORPORATION}:CASH", "", "CASH", "其他", active=False)
    return [*rows, {**cash, "sort": "OTHER", "remark": None}]


def _account(identifier: str, name: str, code: str, bank: str, *, active: bool) -> Json:
    detail: Json = {
        "name": name or "默认现金账户", "number": f"1001{_number_of(code):012d}", "bank": bank, "branch": bank,
        "province": "上海市", "city": "上海市", "visibility": _EVERYONE,
    }  # fmt: skip
    return {
        "id": identifier, "name": name, "code": code, "detail": detail, "active": active, "sort": "BANK",
        "visibility": _EVERYONE, "remark": "",
    }  # fmt: skip


def _number_of(code: str) -> int:
    """An account number of up to 12 digits, the same for a code in every process."""
    return int.from_bytes(code.encode()) % 10**12


def _currency_rows() -> list[Json]:
    infos = []
    for number, (code, rate) in enumerate(RATES.items()):
        currency = CURRENCIES[code]
        infos.append(
            {
                "pipeline": 1, "grayver": "9.87.0.0-prd", "id": opaque(Kind.CURRENCY, number), "version": 1,
                "active": True, "createTime": _CREATED_MS, "updateTime": _CREATED_MS, "corporationId": CORPORATION,
                "sourceCorporationId": None, "dataCorporationId": None, "numCode": currency.number, "strCode": code,
                "scale": currency.scale, "name": currency.name, "symbol": currency.symbol, "unit": currency.unit,
                "icon": f"http://images.ekuaibao.com/currency/{code.lower()}.png",
                "rate": f"{rate // 10_000}.{rate % 10_000:04d}", "budgetRate": None, "startTime": _CREATED_MS,
                "endTime": 4_638_916_800_000, "order": _CREATED_MS + number, "originalId": "156", "isDefault": False,
            }
        )  # fmt: skip
    return [{"orgCode": "CNY", "currInfos": infos}]
