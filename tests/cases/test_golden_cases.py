"""The cases written by finance, reproduced to the cent. The folders are read-only: a change needs finance's name."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from etl.config.mapping import Mappings
from etl.frames import day_of
from etl.money import to_minor, to_text
from etl.reference import Invoice, Payee
from etl.steps.mapped import MappedClaims
from tests.support.claims import CORP, demo_mappings, detail, expense, flow, invoice, map_flows, money, ms, reference, share

FOLDER = Path(__file__).parent / "golden"
FEES = {"差旅": "TRAVEL", "招待": "ENTERTAIN", "会议": "MEETING", "办公": "OFFICE", "福利": "WELFARE"}
KINDS = {"数电专票": "FULL_DIGITAl_SPECIAL", "数电普票": "FULL_DIGITAl_NORMAL", "铁路电子客票": "train", "航空行程单": "flightItinerary", "出租车票": "taxi"}
ENTRY_KINDS = {"accrual": "EXPENSE", "payment": "PAYMENT", "loan": "LOAN", "receipt": "RECEIPT"}
DIMS = {"dept": "department", "proj": "project", "emp": "employee", "sup": "supplier"}

# case, variant -> vouchers that are posted (None: all of the case), and the rejects expected beside them
POSTED: dict[tuple[str, str], tuple[list[str], list[tuple[str, str, str]]]] = {
    ("G01", ""): (["v1", "v2"], []),
    ("G02", ""): (["v1"], []),
    ("G04", "a"): (["v1"], [("PAYMENT", "held", "FX_SETTLEMENT")]),
    ("G04", "b"): (["v1"], [("PAYMENT", "held", "FX_SETTLEMENT")]),
    ("G04", "c"): (["v4", "v5"], []),
    ("G05", ""): (["v1", "v2", "v3"], []),
    ("G06", ""): (["v1", "v2"], []),
    ("G07", "a"): (["v1", "v2", "v3"], []),
    ("G07", "b"): (["v4"], []),
    ("G09", ""): (["v1", "v2", "v3"], []),
    ("G10", ""): (["v1"], []),
    ("G11", "a"): (["v1", "v2"], []),
    ("G11", "b"): ([], [("EXPENSE", "held", "PERIOD_CLOSED")]),
    ("G11", "c"): ([], [("EXPENSE", "rejected", "PERIOD_CLOSED")]),
    ("G11", "d"): (["v3", "v2"], []),
}
# The endings of these need vouchers that come with exchange differences.
NO_ENDS = {("G04", "a"), ("G04", "b")}
OPENING = {"G06": {("C01", "1221.01"): Decimal(0)}}


def read(case: str) -> tuple[dict[str, Any], list[dict[str, str]], list[dict[str, str]], list[dict[str, str]]]:
    folder = next(FOLDER.glob(f"{case.lower()}_*"))
    source = yaml.load((folder / "input.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - keeps text as text
    tables = [list(csv.DictReader((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines())) for name in ("headers", "lines", "ends")]
    return source, *tables


def invoice_use(raw: Mapping[str, str]) -> dict[str, Any]:
    return {"invoiceId": raw["inv"], "taxAmount": money(raw["tax"]), "taxRate": raw["rate"], "itemIds": []}


def invoice_of(raw: Mapping[str, str]) -> Invoice:
    def minor(key: str) -> int | None:
        return to_minor(raw[key], "CNY") if key in raw else None

    return invoice(raw["inv"], kind=KINDS[raw["kind"]], gross=minor("gross"), tax=minor("tax"), fare_minor=minor("fare"), fuel_minor=minor("fuel"))


def detail_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    fx = raw.get("fx")
    amount = money(raw["amount"], foreign=fx["foreign"], code=fx["cur"], rate=fx["rate"]) if fx else money(raw["amount"])
    return detail(
        amount,
        fee=FEES[raw["fee"]],
        department=raw.get("dept", "D20"),
        day=raw.get("feeDate", "2026-03-05"),
        id=raw["id"],
        shares=[share(item["money"], item["dept"], project=item.get("proj", "")) for item in raw.get("apportions", ())],
        invoices=[invoice_use(item) for item in raw.get("invoices", ())],
    )


def payee_of(text: str) -> str:
    return f"pay-{text.split(maxsplit=1)[0]}"


def write_offs(form: Mapping[str, Any]) -> list[dict[str, str]] | None:
    records = form.get("writtenOffRecords")
    return [{"id": record["loan"], "loanId": f"loan-{record['loan']}", "amount": record["amount"]} for record in records] if records else None


def plan_of(form: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    rows = form.get("payPlan")
    return (
        [
            {
                "dataLinkForm": {
                    "E_system_支付计划_支付金额": money(row["money"]),
                    "E_system_支付计划_收款信息": payee_of(row["payee"]),
                    "E_system_支付计划_支付时间": ms(row["paid"]),
                    "E_system_支付计划_支付流水号": row["trade"],
                }
            }
            for row in rows
        ]
        if rows
        else None
    )


def claim_of(form: Mapping[str, Any], details: list[Mapping[str, Any]]) -> dict[str, Any]:
    extra: dict[str, Any] = {"writtenOffRecords": write_offs(form), "payPlan": plan_of(form), "title": form.get("title", "")}
    paid = form.get("payDate") or ("2026-05-15" if form.get("payPlan") else None)
    if "payee" in form:
        extra["payeeId"] = payee_of(form["payee"])
    if "platform" in form:
        extra["u_商旅平台"] = payee_of(form["platform"])
    return expense(
        form["expenseMoney"],
        details=[detail_of(item) for item in details],
        pay=form.get("payMoney", form["expenseMoney"]),
        written_off=form.get("writtenOffMoney", "0.00"),
        company_paid=form.get("companyRealPay", "0.00"),
        id=form["code"],
        code=form["code"],
        state=form.get("state", "paid"),
        submitter=form["submitter"],
        approved=form["flowEndTime"],
        paid=paid,
        **extra,
    )


def other_flows(source: Mapping[str, Any], variant: str) -> list[dict[str, Any]]:
    flows = []
    if "loan" in source:
        loan = source["loan"]
        flows.append(
            flow(
                id=loan["code"],
                code=loan["code"],
                form_type="loan",
                submitter=loan["submitter"],
                approved=loan["payDate"],
                paid=loan["payDate"],
                loanMoney=money(loan["loanMoney"]),
                payMoney=money(loan["loanMoney"]),
            )
        )
    if "receipt" in source:
        receipt = source["receipt"]
        flows.append(
            flow(
                id=receipt["code"],
                code=receipt["code"],
                form_type="receipt",
                submitter=receipt["submitter"],
                approved=receipt["date"],
                paid=None,
                receiptDate=ms(receipt["date"]),
                receiptMoney=money(receipt["receiptMoney"]),
                writtenOffRecords=write_offs(receipt),
                paymentAccountId=f"{CORP}:BANK-CNY-01",
            )
        )
    if "bill" in source and variant == "a":
        bill = source["bill"]
        flows.append(
            flow(
                id=bill["code"],
                code=bill["code"],
                form_type="payment",
                approved=bill["payDate"],
                paid=bill["payDate"],
                title="商旅平台6月账单",
                payMoney=money(bill["payMoney"]),
                payeeId=payee_of(bill["payee"]),
            )
        )
    return flows


def with_periods(mappings: Mappings, case: str, variant: str, options: Mapping[str, Any]) -> Mappings:
    if case != "G11" or options.get("closed") == "none":
        return mappings
    first = mappings.companies[0]
    periods = first.periods.model_validate({"policy": {"*": options["policy"]}, "closed": [{"period": "2026-08", "closed_on": "2026-09-02"}]})
    return mappings.model_copy(update={"companies": [first.model_copy(update={"periods": periods}), *mappings.companies[1:]]})


def run(case: str, variant: str) -> tuple[MappedClaims, dict[str, Any], tuple[Any, ...]]:
    source, *tables = read(case)
    options = source.get("variants", {}).get(variant, {})
    form = {**source["form"], **options.get("form", {})}
    if case == "G07" and variant == "b":  # the variant's claim has neither payment nor payable
        form.pop("payDate")
    details = options.get("details", source["details"])
    receipt = source.get("receipt")
    if receipt:
        receipt["submitter"] = source["form"]["submitter"]
    if variant in {"a", "b"} and case == "G04":
        options = {**options, "closed": "none"}
    records = [*form.get("writtenOffRecords", []), *(receipt or {}).get("writtenOffRecords", [])]
    lists = reference(
        invoices=[invoice_of(raw) for item in details for raw in item.get("invoices", ())],
        loan_owners={record["loan"]: f"{CORP}:{record['owner']}" for record in records},
        payees=[Payee(payee_of(form["payee"]), "某供应商", "CORPORATION", "", {"u_供应商编码": form["payee"].split()[0]})]
        if "CORPORATION" in form.get("payee", "")
        else (),
    )
    mapped = map_flows(
        [*other_flows(source, variant), claim_of(form, details)],
        mappings=with_periods(demo_mappings(), case, variant, options),
        lists=lists,
        run_day="2026-09-03" if case == "G11" else "2026-12-31",
    )
    return mapped, source, tuple(tables)


def header_row(voucher: Any) -> dict[str, str]:
    day, original = day_of(voucher.voucher_day), day_of(voucher.original_day)
    assert day
    assert original
    return {
        "company": voucher.company_code,
        "kind": voucher.entry_kind,
        "part": str(voucher.part_no),
        "rev": str(voucher.revision),
        "date": str(day),
        "period": f"{voucher.fiscal_year}-{voucher.fiscal_period:02d}",
        "attach": str(voucher.attachment_count),
        "summary": voucher.summary,
    }


def line_rows(mapped: MappedClaims, entry_no: int) -> list[dict[str, str]]:
    dims = mapped.line_dimensions[mapped.line_dimensions["entry_no"] == entry_no]
    rows = []
    for line in mapped.voucher_lines[mapped.voucher_lines["entry_no"] == entry_no].itertuples():
        own = dims[dims["line_no"] == line.line_no]
        short = {value: key for key, value in DIMS.items()}
        texts = [f"{short[row.dim_type]}={row.dim_code}" for row in own.itertuples()]
        if line.tax_rate:
            texts.append(f"tax={line.tax_rate}")
        rows.append(
            {
                "line": str(line.line_no),
                "account": line.account_code,
                "dimensions": ";".join(sorted(texts)),
                "currency": line.currency,
                "amount_fc": to_text(line.amount_fc_minor, line.currency) if line.fx_rate else "",
                "fx_rate": line.fx_rate,
                "debit": to_text(line.debit_minor, "CNY") if line.debit_minor else "",
                "credit": to_text(line.credit_minor, "CNY") if line.credit_minor else "",
            }
        )
    return rows


@pytest.mark.parametrize(("case", "variant"), list(POSTED), ids=lambda value: value or "-")
def test_a_golden_case_is_reproduced_to_the_cent(case: str, variant: str) -> None:
    mapped, _, (headers, lines, ends) = run(case, variant)
    names, rejects = POSTED[case, variant]
    expected_headers = {row.pop("v"): row for row in headers}
    expected = []
    for name in names:
        head = dict(expected_headers[name])
        head.pop("reverses")
        head["kind"] = ENTRY_KINDS[head["kind"]]
        body = [{**row, "dimensions": ";".join(sorted(filter(None, row["dimensions"].split(";"))))} for row in lines if row["voucher"] == name]
        expected.append((head, [{key: value for key, value in row.items() if key != "voucher"} for row in body]))
    found = [(header_row(voucher), line_rows(mapped, voucher.entry_no)) for voucher in mapped.vouchers.itertuples()]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert sorted(zip(mapped.rejects["entry_kind"], mapped.rejects["disposition"], mapped.rejects["rule"], strict=True)) == sorted(rejects)
    if (case, variant) not in NO_ENDS:
        _check_ends(mapped, case, variant, ends)


def _check_ends(mapped: MappedClaims, case: str, variant: str, ends: list[dict[str, str]]) -> None:
    lines = mapped.voucher_lines
    for row in ends:
        if row["variant"] not in ("", variant):
            continue
        accounts = lines["account_code"].isin(row["account"].split("+"))
        balance = int(lines.loc[accounts, "debit_minor"].sum() - lines.loc[accounts, "credit_minor"].sum())
        assert to_text(balance, "CNY") == row["balance"], (case, variant, row)


def test_the_period_closed_reject_names_the_general_ledger_as_owner() -> None:
    mapped, source, _ = run("G11", "b")
    reject = mapped.rejects.iloc[0]
    assert (reject["claim_code"], to_text(reject["amount_minor"], "CNY"), reject["rule"], reject["owner"]) == ("B26080011", "636.00", "PERIOD_CLOSED", "总账")
    assert mapped.entries.set_index("entry_kind")["disposition"].to_dict() == {"EXPENSE": "held", "PAYMENT": "waiting"}
    assert source["case"] == "G11"


def test_the_expense_day_stays_on_the_line_when_the_voucher_moves_to_the_next_period() -> None:
    for variant in ("a", "d"):
        mapped, *_ = run("G11", variant)
        accrual = mapped.vouchers[mapped.vouchers["entry_kind"] == "EXPENSE"].iloc[0]
        first = mapped.voucher_lines[mapped.voucher_lines["entry_no"] == accrual["entry_no"]].iloc[0]
        assert str(day_of(first["business_day"])) == "2026-08-25"
        assert str(day_of(accrual["original_day"])) == "2026-08-31"


def test_hesi_tax_on_an_entertainment_invoice_is_ignored_because_the_fee_type_wins() -> None:
    mapped, *_ = run("G02", "")
    taxes = mapped.voucher_lines[mapped.voucher_lines["tax_rate"] != ""]
    assert taxes["debit_minor"].tolist() == [4800]


def test_every_case_folder_has_a_test() -> None:
    assert {path.name[:3].upper() for path in FOLDER.iterdir() if path.is_dir()} == {case for case, _ in POSTED} | {"G08", "G12"}  # see test_golden_changes.py
