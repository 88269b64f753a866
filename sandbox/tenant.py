"""A tenant of the sandbox: master data, flows, loans, budgets, and the changes made to them."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from random import Random
from threading import RLock
from typing import Any

from sandbox import edits
from sandbox.budgets import Consumption, build_budgets
from sandbox.claims.factory import ClaimFactory
from sandbox.clock import DEFAULT_NOW_MS, Clock
from sandbox.journal import Journal
from sandbox.loans import LoanBook
from sandbox.master import COMPANIES, build_master
from sandbox.money import Json
from sandbox.parties import build_parties
from sandbox.store import FlowStore
from sandbox.totals import totals

_ACCOUNTS = {company.code: company.account_code for company in COMPANIES}


class UnknownFlow(KeyError):
    """No flow has that id."""


class Tenant:
    """Everything the API serves. Changes are numbered by the clock, written to the journal and replayed at a start."""

    def __init__(self, claims: int, seed: int, *, now_ms: int, calm: bool = False) -> None:
        random = Random(seed)
        self._made_of = {"sandbox": 1, "claims": claims, "seed": seed} | ({"calm": True} if calm else {})
        self.claims, self.seed = claims, seed
        self.clock = Clock(now_ms)
        self.lock = RLock()
        self.master = build_master()
        self.parties = build_parties(self.master, staff=min(max(claims // 20, 40), 800), random=random)
        self.store = FlowStore()
        self._factory = ClaimFactory(claims, now_ms, master=self.master, parties=self.parties, random=random, calm=calm)
        consumption = Consumption()
        for seq in range(claims):
            made = self._factory.make(seq)
            self.store.add(made.flow, made.tickets)
            consumption.add(made.flow, made.burden)
        self.budgets = build_budgets(self.master.departments, consumption, random=random)
        self._drift = Random(seed + 1)
        self._company_codes = {identifier: code for code, identifier in self.master.entity_ids.items()}
        self._journal = Journal(None, {})

    @property
    def defects(self) -> dict[str, str]:
        """Flow id -> reason, of every claim made bad on purpose."""
        return self._factory.defects

    @property
    def oddities(self) -> dict[str, str]:
        """Flow id -> reason, of claims that are right but awkward: a connector has to hold or resolve them."""
        return self._factory.oddities

    @property
    def loans(self) -> LoanBook:
        """The loan book."""
        return self._factory.loans

    def keep_state(self, directory: Path | None) -> None:
        """Repeat the changes kept in a directory and keep all further ones there."""
        journal = Journal(directory, self._made_of)
        for change in journal.replay():
            self._apply(change)
        self._journal = journal

    def close(self) -> None:
        """Release files."""
        self._journal.close()
        self.store.close()

    def seq(self, flow_id: str) -> int:
        """The number of a flow, deleted ones included; UnknownFlow."""
        try:
            return self.store.by_id[flow_id]
        except KeyError:
            raise UnknownFlow(flow_id) from None

    def flow(self, flow_id: str) -> Json:
        """A flow as values."""
        return self.store.flow(self.seq(flow_id))

    def totals(self) -> Json:
        """Counts and sums added up from the served bytes."""
        with self.lock:
            return totals(self.store, self._company_codes)

    # Changes. Each returns after it is visible to the next call and kept in the journal.

    def edit(self, flow_id: str, values: dict[str, Any], *, touch: bool = True) -> None:
        """Set fields by dotted path; `touch` false leaves updateTime alone, as a repair in Hesi's database would."""
        self._do("edit", id=flow_id, values=values, touch=touch)

    def delete(self, flow_id: str) -> None:
        """Delete a flow."""
        self._do("delete", id=flow_id)

    def change_state(self, flow_id: str, state: str) -> None:
        """Put a flow in a state; `paid` finishes it without a payment."""
        self._do("state", id=flow_id, state=state)

    def nullify(self, flow_id: str) -> None:
        """Void a flow."""
        self.change_state(flow_id, "nullify")

    def pay(self, flow_id: str, account_code: str = "") -> None:
        """Have the cashier pay a flow, from its company's account unless another one is named."""
        self._do("pay", id=flow_id, account=account_code)

    def comment(self, flow_id: str) -> None:
        """Comment a flow: only updateTime and the log change."""
        self._do("comment", id=flow_id)

    def override(self, flow_id: str, body: str) -> None:
        """Serve these characters for the flow, whether or not they are JSON."""
        self._do("override", id=flow_id, body=body)

    def add_claims(self, count: int, *, state: str = "paid", form_type: str = "expense") -> list[str]:
        """The ids of new claims that end at the present instant."""
        first = len(self.store.heads)
        self._do("add", count=count, state=state, form_type=form_type)
        return [head.id for head in self.store.heads[first:]]

    def write_vouchers(self, vouchers: Iterable[tuple[str, str, int]]) -> None:
        """Write (flow id, voucher number, created ms) on flows; the caller has checked the rules."""
        self._do("voucher", vouchers=[list(row) for row in vouchers])

    def set_clock(self, now_ms: int) -> None:
        """Move the clock and keep that."""
        with self.lock:
            self._apply({"op": "clock", "now": now_ms})
            self._journal.append({"op": "clock", "now": now_ms})

    def drift(self, count: int, form_type: str) -> None:
        """Comment so many random live flows of a type, as a busy tenant would between two pages."""
        live = self.store.by_update(form_type, active=True)
        for _ in range(min(count, len(live))):
            seq = live[int(self._drift.random() * len(live))][1]
            self.comment(self.store.heads[seq].id)

    def _do(self, op: str, **arguments: Any) -> None:
        with self.lock:
            change = {"op": op, **arguments}
            if op == "voucher":
                change["at"] = [self.clock.tick() for _ in arguments["vouchers"]]
            elif op == "add":
                change["at"] = [self.clock.tick() for _ in range(arguments["count"])]
            else:
                self.seq(arguments["id"])
                change["at"] = self.clock.tick()
            self._apply(change)
            self._journal.append(change)

    def _apply(self, change: Json) -> None:
        """Make a change, new or replayed."""
        op = change["op"]
        if op == "clock":
            self.clock.set(change["now"])
            return
        instants = change["at"] if isinstance(change["at"], list) else [change["at"]]
        for instant in instants:
            self.clock.seen(instant)
        if op == "add":
            for instant in instants:
                made = self._factory.fresh(
                    len(self.store.heads), state=change["state"], form_type=change["form_type"], now_ms=instant
                )
                self.store.add(made.flow, made.tickets)
        elif op == "voucher":
            for (flow_id, number, created), instant in zip(change["vouchers"], instants, strict=True):
                self._mutate(flow_id, partial(edits.write_voucher, number=number, created_ms=created), at=instant)
        elif op == "override":
            seq = self.seq(change["id"])
            flow = self._indexed(seq)
            flow["updateTime"] = instants[0]
            self.store.replace(seq, flow, body=change["body"].encode("utf-8", "surrogatepass"))
        else:
            touch = change.get("touch", True)
            self._mutate(change["id"], self._change_of(change, instants[0]), at=instants[0] if touch else None)

    def _change_of(self, change: Json, at: int) -> edits.Change:
        op = change["op"]
        if op == "edit":
            return lambda flow: edits.set_values(flow, change["values"])
        if op == "state":
            return lambda flow: edits.enter_state(flow, change["state"], at=at)
        if op == "pay":
            return lambda flow: edits.pay(flow, self._account(flow, change["account"]), at=at)
        if op == "comment":
            return lambda flow: edits.comment(flow, at=at)
        return edits.remove

    def _account(self, flow: Json, code: str) -> str:
        company = self._company_codes.get(flow["form"].get("法人实体") or "", "C01")
        return self.parties.account_ids[code or _ACCOUNTS[company]]

    def _mutate(self, flow_id: str, change: edits.Change, *, at: int | None) -> None:
        seq = self.seq(flow_id)
        flow = self.store.flow(seq)
        change(flow)
        if at is not None:
            flow["updateTime"] = at
        self.store.replace(seq, flow)

    def _indexed(self, seq: int) -> Json:
        """What the index knows of a flow, whatever its bytes have become."""
        head = self.store.heads[seq]
        form = {
            "code": head.code, "submitterId": head.submitter, "specificationId": head.template, "submitDate": head.submitted,
            "payDate": head.paid, "outerCode": head.outer_code,
        }  # fmt: skip
        return {
            "id": head.id, "form": form, "formType": head.form_type, "state": head.state, "active": head.active,
            "createTime": head.created, "updateTime": head.updated,
        }  # fmt: skip


def build(claims: int, seed: int, *, now_ms: int = DEFAULT_NOW_MS, calm: bool = False) -> Tenant:
    """A tenant with so many claims; the same claims, seed and instant give the same bytes.

    In a calm one every claim can be posted and its number written back: none is bad, awkward, archived or paid abroad.
    """
    return Tenant(claims, seed, now_ms=now_ms, calm=calm)
