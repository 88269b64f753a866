"""Invoice headers and lines as the invoice calls show them: keys named after the kind of ticket (section 11)."""

from sandbox.clock import instant_of
from sandbox.ids import Kind, line_number, opaque
from sandbox.master import COMPANIES
from sandbox.money import Json, exact_money

INVOICE_TYPES = (
    "invoice", "other", "taxi", "fixed", "passengerCar", "machinePrint", "shopping", "train", "flightItinerary",
    "tolls", "medical", "noTaxIncome", "overseasInvoice",
)  # fmt: skip
_ENTITY_NAMES = {
    "invoice": "发票主体", "taxi": "出租车票", "train": "火车票", "flightItinerary": "航空运输电子客票行程单",
}  # fmt: skip
_VISIBILITY: Json = {
    "fullVisible": True, "departmentsIncludeChildren": True, "staff": [], "department": [], "role": [],
}  # fmt: skip
_CREATED_MS = instant_of("2026-01-06 10:00:00")
_BUYERS = {company.code: company for company in COMPANIES}


def header_of(ticket: Json) -> Json:
    """The header of a ticket, with the (here small) metadata block every item carries."""
    name = _ENTITY_NAMES[ticket["type"]]
    deductible = ticket["tax"] if ticket["deductible"] else 0
    row: Json = {
        "id": ticket["id"], "masterId": None, "topDate": 0, "useCount": 1, "totalCount": 1, "ownerId": None,
        "visibility": _VISIBILITY, "E_税额": exact_money(deductible, "CNY"), "E_是否抵扣": ticket["deductible"],
        "E_不计税金额": exact_money(ticket["gross"] - deductible, "CNY"), "E_system_发票主体_来源": "OCR",
        "E_system_发票主体_图片": "票据.jpg",
    }  # fmt: skip
    row |= _vat_keys(ticket) if ticket["type"] == "invoice" else _ticket_keys(ticket, f"E_system_{name}")
    row |= {
        # false = already used, which it is: by this very claim.
        "active": False, "updateTime": ticket["date"], "createTime": ticket["date"], "entityId": f"system_{name}",
        "entity": _entity(name), "ledgers": [], "plans": [], "flowForm": None,
        "flowId": opaque(Kind.FLOW, ticket["claim"]),
    }  # fmt: skip
    return row


def items_of(ticket: Json) -> list[Json]:
    """The lines of a VAT invoice; quantity may be empty and the unit price null."""
    prefix = "E_system_发票明细"
    rows = []
    for item in ticket["items"]:
        identifier = opaque(Kind.INVOICE_ITEM, line_number(ticket["claim"], 0) * 8 + item["n"])
        rows.append(
            {
                "id": identifier, "masterId": ticket["id"], "useCount": 1, "totalCount": 1, "ownerId": None,
                "visibility": _VISIBILITY, f"{prefix}_code": identifier, f"{prefix}_name": "*生活服务*服务费",
                f"{prefix}_单价": None, f"{prefix}_数量": "", f"{prefix}_税率": f"{ticket['rate']}%",
                f"{prefix}_税额": exact_money(item["tax"], "CNY"), f"{prefix}_金额": exact_money(item["net"], "CNY"),
                f"{prefix}_规格型号": "", "active": False, "entityId": "system_发票明细", "entity": _entity("发票明细"),
            }
        )  # fmt: skip
    return rows


def _vat_keys(ticket: Json) -> Json:
    prefix = "E_system_发票主体"
    parts = ticket["id"].split(":")
    buyer = _BUYERS[ticket["buyer"]]
    return {
        "E_system_收票状态": "RECEIVE", f"{prefix}_code": parts[1], f"{prefix}_name": parts[2],
        f"{prefix}_发票代码": parts[1], f"{prefix}_发票号码": parts[2], f"{prefix}_发票日期": ticket["date"],
        f"{prefix}_发票类别": ticket["category"], f"{prefix}_发票金额": exact_money(ticket["net"], "CNY"),
        f"{prefix}_税额": exact_money(ticket["tax"], "CNY"), f"{prefix}_价税合计": exact_money(ticket["gross"], "CNY"),
        f"{prefix}_购买方名称": buyer.name, f"{prefix}_购买方纳税人识别号": buyer.tax_number,
        f"{prefix}_销售方名称": ticket["seller"], f"{prefix}_销售方纳税人识别号": "91310000SELLER0001",
        f"{prefix}_验真": True, f"{prefix}_备注": "", f"{prefix}_方向": 0.0,
    }  # fmt: skip


def _ticket_keys(ticket: Json, prefix: str) -> Json:
    keys: Json = {f"{prefix}_金额": exact_money(ticket["gross"], "CNY")}
    if ticket["type"] == "taxi":
        return keys | {f"{prefix}_乘车日期": ticket["date"], f"{prefix}_发票所在地": "上海市"}
    keys["E_税率"] = str(ticket["rate"])
    if ticket["type"] == "train":
        return keys | {
            f"{prefix}_乘车时间": ticket["date"], f"{prefix}_乘车人姓名": ticket["person"],
            f"{prefix}_上车车站": "上海虹桥", f"{prefix}_下车车站": "北京南", f"{prefix}_车次": "G2",
            f"{prefix}_座位类型": "二等座", f"{prefix}_号码": ticket["id"],
        }  # fmt: skip
    return keys | {
        f"{prefix}_票价": exact_money(ticket["fare"], "CNY"),
        f"{prefix}_燃油附加费": exact_money(ticket["fuel"], "CNY"),
        f"{prefix}_民航发展基金": exact_money(ticket["fund"], "CNY"), f"{prefix}_税费": exact_money(0, "CNY"),
        f"{prefix}_保险费": exact_money(0, "CNY"), f"{prefix}_乘机时间": ticket["date"],
        f"{prefix}_填开日期": ticket["date"], f"{prefix}_乘机人姓名": ticket["person"],
        f"{prefix}_出发站": "上海-虹桥", f"{prefix}_到达站": "北京-首都", f"{prefix}_航班号": "MU5101",
        f"{prefix}_电子客票号码": ticket["id"],
    }  # fmt: skip


def _entity(name: str) -> Json:
    fields = [
        {"name": f"E_system_{name}_name", "label": "名称", "type": "text", "source": "dataLink", "optional": False}
    ]
    return {
        "version": 2, "active": True, "createTime": _CREATED_MS, "updateTime": _CREATED_MS, "name": name,
        "corporationId": "", "type": "DIMENSION", "disableStrategy": "LIMIT_COUNT", "maxUsageCount": 1,
        "fields": fields, "id": f"system_{name}", "platformId": "system_发票平台",
    }  # fmt: skip
