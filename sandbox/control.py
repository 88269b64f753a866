"""The control calls below /sandbox/control: what a test or a user does to the tenant from another process."""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.answers import Answer, Call, Refused, ok
from sandbox.auth import Tokens
from sandbox.clock import beijing_text
from sandbox.edits import UnknownPath
from sandbox.faults import Faults
from sandbox.money import Json
from sandbox.tenant import Tenant, UnknownFlow

PREFIX = "/sandbox/control"
LOG_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """One logged call: `at_ms` by the driven clock, `status` of the answer (0 = none was sent)."""

    method: str
    path: str
    query: dict[str, str]
    at_ms: int
    status: int


class ControlCalls:
    """Handlers by name of the last path segment; each takes and returns JSON."""

    def __init__(self, tenant: Tenant, faults: Faults, tokens: Tokens, requests: deque[Request]) -> None:
        self._tenant = tenant
        self._faults = faults
        self._tokens = tokens
        self._requests = requests

    def get(self, call: Call) -> Answer:
        """GET /sandbox/control/NAME."""
        readers: dict[str, Callable[[], Any]] = {
            "health": lambda: {"status": "ok", "claims": len(self._tenant.store.heads)},
            "clock": self._clock,
            "totals": self._tenant.totals,
            "defects": lambda: {"defects": self._tenant.defects, "oddities": self._tenant.oddities},
            "faults": lambda: {"faults": self._faults.listed(), "counts": self._faults.counts},
            "requests": lambda: [asdict(request) for request in self._requests],
            "claim": lambda: self._tenant.flow(call.query.get("id", "")),
        }
        return self._run(readers, call)

    def post(self, call: Call) -> Answer:
        """POST /sandbox/control/NAME with a JSON object."""
        body: Any = call.json() if call.body else {}
        if not isinstance(body, dict):
            raise Refused(400, "expected a JSON object")
        writers: dict[str, Callable[[], Any]] = {
            "clock": lambda: self._move_clock(body),
            "edit": lambda: self._tenant.edit(body["id"], body["set"], touch=body.get("touch", True)),
            "delete": lambda: self._tenant.delete(body["id"]),
            "nullify": lambda: self._tenant.nullify(body["id"]),
            "state": lambda: self._tenant.change_state(body["id"], body["state"]),
            "pay": lambda: self._tenant.pay(body["id"], body.get("account", "")),
            "comment": lambda: self._tenant.comment(body["id"]),
            "override": lambda: self._tenant.override(body["id"], body["body"]),
            "claims": lambda: self._add(body),
            "faults": lambda: self._add_fault(body),
            "revoke-tokens": self._tokens.revoke,
            "budgets": lambda: self._budgets(body),
        }
        return self._run(writers, call)

    def delete(self, call: Call) -> Answer:
        """DELETE /sandbox/control/faults and /requests: forget them."""
        return self._run({"faults": self._faults.clear, "requests": self._requests.clear}, call)

    def _run(self, actions: dict[str, Callable[[], Any]], call: Call) -> Answer:
        name = call.params["name"]
        if name not in actions:
            raise Refused(404, f"no control {name!r}: expected one of {', '.join(sorted(actions))}")
        try:
            result = actions[name]()
        except UnknownFlow as error:
            raise Refused(404, f"no flow {error.args[0]!r}") from error
        except (KeyError, TypeError, ValueError, UnknownPath) as error:
            raise Refused(400, f"{name}: {error!r}") from error
        return ok({"done": True} if result is None else result)

    def _clock(self) -> Json:
        now = self._tenant.clock.now()
        return {"now_ms": now, "beijing": beijing_text(now)}

    def _move_clock(self, body: Json) -> Json:
        now = body["set_ms"] if "set_ms" in body else self._tenant.clock.now() + body["advance_ms"]
        self._tenant.set_clock(int(now))
        return self._clock()

    def _add(self, body: Json) -> Json:
        return {
            "ids": self._tenant.add_claims(
                int(body["count"]), state=body.get("state", "paid"), form_type=body.get("type", "expense")
            )
        }

    def _add_fault(self, body: Json) -> None:
        self._faults.add(**body)

    def _budgets(self, body: Json) -> None:
        self._tenant.budgets.calculating = bool(body.get("calculating", False))
        self._tenant.budgets.error = str(body.get("error", ""))
