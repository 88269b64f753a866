"""Master data calls: departments, staff, fee types, dimensions, payees, accounts, currencies (section 12)."""

from sandbox.answers import MISSING, Answer, Call, Refused, ok
from sandbox.clock import beijing_text, instant_of
from sandbox.money import Json
from sandbox.tenant import Tenant

_ITEM_KEYS = ("id", "name", "active", "code", "dimensionId", "parentId")
_LICENCES = (("219902", "开放接口"), ("219904", "开放接口(新)"), ("BUDGET", "预算管理"), ("MULTI_CURRENCY", "币种设置"))


class MasterCalls:
    """The handlers that read reference data."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._master = tenant.master
        self._parties = tenant.parties

    def departments(self, call: Call) -> Answer:
        """GET v1/departments: all, disabled ones too."""
        return _page(call, _ordered(call, _changed_in_window(call, self._master.departments)))

    def staffs(self, call: Call) -> Answer:
        """GET v1.1/staffs: `active` and `external` are tri-state."""
        rows = self._parties.staffs
        for name in ("active", "external"):
            wanted = call.presence(name)
            rows = rows if wanted is None else [row for row in rows if row[name] is wanted]
        return _page(call, _ordered(call, _changed_in_window(call, rows)))

    def fee_types(self, _call: Call) -> Answer:
        """GET v1/feeTypes: all at once."""
        return ok({"items": self._master.fee_types})

    def dimensions(self, call: Call) -> Answer:
        """GET v1/dimensions."""
        return _page(call, self._master.dimensions)

    def items(self, call: Call) -> Answer:
        """GET v1/dimensions/items: times as text; an unknown dimension is an empty list."""
        rows = [
            {
                **{key: row[key] for key in _ITEM_KEYS},
                "updateTime": beijing_text(row["updateTime"]),
                "createTime": beijing_text(row["createTime"]),
            }
            for row in self._items(call)
        ]
        return _page(call, _ordered(call, _changed_in_window(call, rows)))

    def items_with_all(self, call: Call) -> Answer:
        """GET v1/dimensions/items/withAll: with extras, times in milliseconds."""
        return _page(call, self._items(call))

    def payees(self, call: Call) -> Answer:
        """GET v2.1/payeeInfos: three names must be present, empty if unused; disabled payees only by name."""
        names = {"ids": "id", "names": "name", "cardNos": "cardNo"}
        if any(name not in call.query for name in names):
            raise Refused(404, MISSING)
        asked = next((name for name in names if call.query[name]), "")
        active = call.presence("active")
        rows = self._parties.payees
        if asked:
            values = {part.strip() for part in call.query[asked].strip("[]").split(",")}
            rows = [row for row in rows if row[names[asked]] in values]
            rows = rows if active is None else [row for row in rows if row["active"] is active]
        else:
            rows = [row for row in rows if row["active"] and active is not False]
        return _page(call, rows)

    def accounts(self, _call: Call) -> Answer:
        """GET v1/paymentAccounts: all at once, disabled ones too."""
        return ok({"items": self._parties.accounts})

    def currencies(self, _call: Call) -> Answer:
        """GET v2.1/currency."""
        return ok({"items": self._parties.currencies})

    def powers(self, _call: Call) -> Answer:
        """GET v1/charge/powers/list: the licences and when they end."""
        end = instant_of("2027-12-31 23:59:59")
        return ok({"items": [{"powerCode": code, "powerName": name, "expireTime": end} for code, name in _LICENCES]})

    def _items(self, call: Call) -> list[Json]:
        dimension = call.query.get("dimensionId", "")
        return [row for row in self._master.items if row["dimensionId"] == dimension]


def _page(call: Call, rows: list[Json]) -> Answer:
    start, count = call.page()
    return ok({"count": len(rows), "items": rows[start : start + count]})


def _changed_in_window(call: Call, rows: list[Json]) -> list[Json]:
    since, until = call.window()
    if since is None and until is None:
        return rows
    low, high = since or 0, until if until is not None else 1 << 62
    return [row for row in rows if low <= instant_of(row["updateTime"]) < high]


def _ordered(call: Call, rows: list[Json]) -> list[Json]:
    if call.query.get("orderBy") != "updateTime":
        return rows
    return sorted(rows, key=lambda row: str(row["updateTime"]), reverse=call.query.get("orderByType", "desc") != "asc")
