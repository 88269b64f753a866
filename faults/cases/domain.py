"""The rules: money as text, rules broken or edited mid-run, validators gone, periods, budgets, rare characters, write-back."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow.ipc

from faults.case import Case, fired
from faults.cases import mutations
from faults.cases.process import STEPS
from faults.world import World

RARE = {
    "𠮷": "𠮷野家", "㐂": "㐂寿司", "emoji": "差旅🚄🧾", "full width": "ＡＢＣ１２３", "CR LF tab": "一\r\n二\t三", "4,000 characters": "长" * 4000,
    "combining": "e\u0301e\u0301", "right to left": "مرحبا", "zero width": "a\u200bb", "formula": "=1+1", "SQL": "'; DROP TABLE voucher; --",
    "HTML": "<script>alert(1)</script>", "backslash": "\\N\\.\\t", "quotes": "\"'“”", "percent": "%s %(x)s {voucher_no}",
}  # fmt: skip
BROKEN = {
    "no YAML": "a: [1,\n  b: {", "duplicate key": "code: C01\ncode: C02\n", "unknown tag": "code: !!python/object/apply:os.system ['true']\n", "empty file": "",
    "anchor bomb": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
    "unknown key": None, "wrong type": None, "not UTF-8": None,
}  # fmt: skip


def cases() -> Iterator[Case]:
    """All of them."""
    for seed in (1, 2):
        for name in mutations.MONEY:
            yield Case("domain", "money as text", name, seed, partial(money, name=name))
        for name, text in RARE.items():
            yield Case("domain", "rare characters", name, seed, partial(rare, text=text), compare=False)
    for name in BROKEN:
        yield Case("domain", "broken mapping", name, 1, partial(broken_mapping, name=name))
    for seed in (1, 2, 3):
        for step in STEPS:
            yield Case("domain", "mapping edited mid-run", f"before {step}", seed, partial(edited, step=step, what="mappings"))
            yield Case("domain", "suite edited mid-run", f"before {step}", seed, partial(edited, step=step, what="expectations"), validator=True)
            yield Case("domain", "suite removed mid-run", f"before {step}", seed, partial(removed, step=step), validator=True)
        for step in STEPS[:2]:
            yield Case("domain", "period closed mid-run", f"before {step}", seed, partial(period_closed, step=step), compare=False)
        yield Case("domain", "budgets still calculating", "in Hesi", seed, calculating)
        yield Case("domain", "rates missing or inverted", "foreign lines", seed, partial(rates, rate=None))
        yield Case("domain", "rates missing or inverted", "inverse rate", seed, partial(rates, rate="inverse"))
        for name in ("archived", "foreign number", "deleted", "sent back"):
            yield Case("domain", "write-back while the claim changes", name, seed, partial(changed_before_write_back, name=name), compare=False)
    for seed in range(1, 6):
        for size in (1, 4_096, 30_000):
            yield Case("domain", "import file half written", f"disk full after {size} bytes", seed, partial(half_written, size=size))
        yield Case("domain", "import file half written", "kill -9 while writing", seed, partial(half_written, size=None))
    for seed in range(31, 41):
        yield Case("domain", "rounding", "10,000 vouchers", seed, rounding, compare=False, large=True, claims=7_000)


def money(world: World, name: str) -> str:
    """An amount of one claim in a form no amount has; later it is repaired."""
    tenant = world.hesi.tenant
    claim = mutations.victim(tenant)
    original = tenant.store.body(tenant.seq(claim)).decode()
    flow = tenant.flow(claim)
    flow["form"]["expenseMoney"]["standard"] = flow["form"]["details"][0]["feeTypeForm"]["amount"]["standard"] = "@@"
    mutations.serve(tenant, claim, mutations.spelled(flow), lambda text: text.replace('"@@"', mutations.MONEY[name]))
    ended = world.run()
    assert ended.well, f"{ended.told}: {ended.message}"
    assert world.count(f"SELECT count(*) FROM voucher WHERE claim_id = '{claim}'") == 0, "a wrong amount was posted"
    rules = world.erp.rows(f"SELECT rule FROM claim_reject WHERE claim_id = '{claim}' OR claim_id LIKE 'unreadable:%'")
    fired(rules, "the reject")
    mutations.repair(tenant, claim, original)
    world.disturbed = True
    return f"rejected as {rules[0][0]}, the others posted"


def rare(world: World, text: str) -> str:
    """A title with rare characters comes out as it went in, or the claim is named."""
    tenant = world.hesi.tenant
    claim = mutations.victim(tenant)
    tenant.edit(claim, {"form.title": text})
    ended = world.run()
    assert ended.well, f"{ended.told}: {ended.message}"
    summaries = [str(row[0]) for row in world.erp.rows(f"SELECT summary FROM voucher WHERE claim_id = '{claim}'")]
    refused = world.erp.rows(f"SELECT rule FROM claim_reject WHERE claim_id = '{claim}'")
    fired(summaries or refused, "the claim")
    kept = " ".join(text.split())[:40]  # a mapping may cut long texts
    assert refused or all(kept in summary for summary in summaries), f"{text[:60]!r} became {summaries[0]!r}"
    world.disturbed = True
    return "posted with the text as it was" if summaries else f"rejected as {refused[0][0]}"


def broken_mapping(world: World, name: str) -> str:
    """A mapping file that is wrong before the run."""
    path = world.own("mappings") / "companies" / "C01.yaml"
    _break(path, name)
    ended = world.run()
    fired(ended.code == "CONFIG_ERROR", "the refusal")
    assert not [request for request in world.hesi.requests if "getApplyList" in request.path], "something was read"
    world.restore("mappings")
    return f"{ended.told}, nothing read; repaired the next run ended well"


def _break(path: Path, name: str) -> None:
    text, content = path.read_text(encoding="utf-8"), BROKEN[name]
    if name == "unknown key":
        content = text + "\nno_such_key: 1\n"
    elif name == "wrong type":
        content = text.replace("summary_limit: 255", "summary_limit: many")
    path.write_bytes(b"\xff\xfe" + text.encode() if name == "not UTF-8" else str(content).encode())


def edited(world: World, step: str, what: str) -> str:
    """A rule file changes while the run is under way: the run goes on under its own version, or stops; it never mixes two."""
    folder = world.own(what)
    path = folder / ("companies/C01.yaml" if what == "mappings" else "voucher_lines.json")
    run = world.start()
    run.until(f"before {step}")
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\n# another version\n" if what == "mappings" else text.rstrip() + "\n\n", encoding="utf-8")
    run.go()
    ended = world.note(run.end())
    shas = {row[0] for row in world.erp.rows("SELECT mapping_sha256 FROM posting_batch")}
    fired(len(shas) <= 1, "one version")
    world.restore(what)
    return f"{ended.told}: {'stopped' if not ended.well else 'went on under the version it was started with'}"


def removed(world: World, step: str) -> str:
    """A suite disappears: without it nothing may be posted."""
    folder = world.own("expectations")
    run = world.start()
    run.until(f"before {step}")
    (folder / "staged_claims.json").unlink()
    run.go()
    ended = world.note(run.end())
    if STEPS.index(step) <= STEPS.index("validate"):
        fired(not ended.well, "the missing suite")
        assert world.vouchers == 0, "posted without validation"
    world.restore("expectations")
    return f"{ended.told}, {'nothing posted' if not world.vouchers else 'validated before it went'}"


def period_closed(world: World, step: str) -> str:
    """Finance closes September while a run is under way."""
    path = world.own("mappings") / "companies" / "C01.yaml"
    run = world.start()
    run.until(f"before {step}")
    text = path.read_text(encoding="utf-8")
    closed = 'policy: {"*": next_open}\n  closed:\n    - {period: "2026-09", closed_on: 2026-10-01}'
    path.write_text(text.replace('policy: {"*": next_open}', closed, 1), encoding="utf-8")
    fired("closed_on" in path.read_text(encoding="utf-8"), "the closing")
    run.go()
    ended = world.note(run.end())
    assert not ended.well, ended.told
    assert world.vouchers == 0, "posted into a period that had just been closed"
    world.closed.add(("C01", 2026, 9))
    return f"{ended.told}, nothing posted; the next run posted into the open period"


def calculating(world: World) -> str:
    """Hesi is still adding its budgets up: never "within"."""
    world.hesi.tenant.budgets.calculating = True
    ended = world.run()
    world.hesi.tenant.budgets.calculating = False
    world.disturbed = True
    return f"{ended.told}; budgets named as not computed, claims posted under the policy warn"


def rates(world: World, rate: str | None) -> str:
    """The exchange rate of every foreign amount of one claim is missing or upside down."""
    tenant = world.hesi.tenant
    found = ((head.id, tenant.store.body(head.seq).decode()) for head in tenant.store.heads
             if (head.form_type, head.state, head.active) == ("expense", "paid", True) and head.id not in tenant.defects)  # fmt: skip
    claim, original = next(((name, text) for name, text in found if _spoil_rates(json.loads(text), rate)), ("", "{}"))
    fired(claim, "a claim in foreign currency")
    flow = json.loads(original)
    _spoil_rates(flow, rate)
    mutations.serve(tenant, claim, mutations.spelled(flow))
    ended = world.run()
    assert ended.well, f"{ended.told}: {ended.message}"
    rules = [row[0] for row in world.erp.rows(f"SELECT rule FROM claim_reject WHERE claim_id = '{claim}'")]
    mutations.repair(tenant, claim, original)
    world.disturbed = True
    return f"{f'rejected as {rules[0]}' if rules else 'posted in the base currency as Hesi states it'}; never at rate 1"


def _spoil_rates(value: object, rate: str | None) -> int:
    changed = 0
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        changed += _spoil_rates(item, rate)
    if isinstance(value, dict) and value.get("foreign") and value.get("rate"):
        if rate is None:
            del value["rate"]
        else:
            value["rate"] = f"{1 / float(value['rate']):.6f}"
        changed += 1
    return changed


def changed_before_write_back(world: World, name: str) -> str:
    """A claim changes in Hesi between posting and write-back."""
    tenant = world.hesi.tenant
    run = world.start()
    run.until("before write_back")
    claim = str(world.erp.rows("SELECT claim_id FROM writeback_outbox WHERE status = 'PENDING' AND hesi_state = 'paid' ORDER BY claim_id")[0][0])
    if name == "archived":
        tenant.change_state(claim, "archived")
    elif name == "foreign number":
        tenant.write_vouchers([(claim, "X-1", 1)])
    elif name == "deleted":
        tenant.delete(claim)
    else:
        tenant.change_state(claim, "paying")
    run.go()
    ended = world.note(run.end())
    world.disturbed = True
    rows = world.erp.rows(f"SELECT status, reason FROM writeback_outbox WHERE claim_id = '{claim}'")
    fired(rows, "the outbox row")
    return f"{ended.told}; the number is {rows[0][0]}{f' ({rows[0][1]})' if rows[0][1] else ''}"


def half_written(world: World, size: int | None) -> str:
    """The import file breaks off; what its reader sees is a whole file with a manifest that vouches for it, or none."""
    assert world.run().well
    folder = world.folder / "import"
    run = world.start(task="import file")
    run.until("started")
    if size is None:
        run.go()
        _until(lambda: any(folder.glob("*.part")), "the file being written")
        ended = run.kill()
    else:
        run.go(fsize=size)
        ended = run.end()
    fired(not ended.well, "the broken file")
    assert not list(folder.glob("*.manifest.json")), "a manifest vouches for a broken file"
    again = world.start(task="import file").end()
    assert again.well, again.message
    lines = world.count("SELECT count(*) FROM voucher_line")
    for path in folder.glob("*.manifest.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        assert hashlib.sha256((folder / told["file"]).read_bytes()).hexdigest() == told["sha256"], "the manifest is not that of the file"
        assert told["lines"] == lines, f"{told['lines']} lines in the file, {lines} posted"
    return f"{ended.told}, no manifest; written again it is whole"


def _until(happened: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        fired(time.monotonic() < deadline, what)
        time.sleep(0.000_2)


def rounding(world: World) -> str:
    """Shares, taxes and rates of thousands of claims: every voucher balances to the minor unit before anything is posted."""
    run = world.start()
    run.until("after map_fields")
    sums: dict[tuple[str, int], int] = defaultdict(int)
    lines = 0
    for path in sorted((world.home / "work").glob("*/map_fields/*/voucher_lines.arrow")):
        table = pyarrow.ipc.open_file(path.read_bytes()).read_all()
        rows = table.select(["entry_no", "debit_minor", "credit_minor"]).to_pydict()
        lines += len(rows["entry_no"])
        for entry, debit, credit in zip(rows["entry_no"], rows["debit_minor"], rows["credit_minor"], strict=True):
            sums[path.parent.name, entry] += debit - credit
    fired(len(sums) >= 10_000, f"10,000 vouchers instead of {len(sums)}")
    assert not any(sums.values()), f"{sum(map(bool, sums.values()))} vouchers do not balance"
    run.go()
    ended = world.note(run.end())
    return f"{ended.told}; {len(sums)} vouchers of {lines} lines, residual 0 each, posted and read back"
