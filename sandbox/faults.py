"""Faults on demand: which call goes wrong in which way, each counted when it fired."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.answers import TEXT_TYPE, Answer, Call
from sandbox.auth import UNAUTHORISED
from sandbox.money import Json

# Before the call is answered: instead of its answer.
EARLY = ("status", "forbidden", "revoke", "rate_limited", "html", "reset")
# On list pages only: the answer is another one.
PAGES = ("drift", "duplicate_page", "empty_page", "zero_count")
# After the call was carried out: the answer does not arrive as it should.
LATE = ("unknown_keys", "truncated", "cut_json", "slow", "lost_answer")
KINDS = EARLY + PAGES + LATE
LIST_PATH = "/docs/getApplyList"
_HTML = "<!DOCTYPE html><html><head><title>系统维护中</title></head><body>系统维护中，请稍后再试</body></html>"
_NEW_KEYS = b'{"pipeline":1,"dbVersion":7,"threadId":"t-1","appId":null,"futureField":{"nested":[1,"\xe4\xb8\x80"]},'


@dataclass(slots=True)
class Fault:
    """One fault: fires on matching calls from number `at` (1 = the next) on, `times` times (0 = always)."""

    kind: str
    path: str = ""
    method: str = ""
    at: int = 1
    times: int = 1
    options: Json = field(default_factory=dict)
    seen: int = 0
    fired: int = 0

    def matches(self, call: Call) -> bool:
        """Whether the fault concerns calls like this one; sign-in only when its path is named."""
        if self.kind in PAGES and LIST_PATH not in call.path:
            return False
        if not self.path and "/auth/" in call.path:
            return False
        return self.path in call.path and self.method in ("", call.method)

    def due(self) -> bool:
        """Count a matching call; whether the fault fires on it."""
        self.seen += 1
        if self.seen < self.at or (self.times and self.fired >= self.times):
            return False
        self.fired += 1
        return True


class Faults:
    """The faults set up now and how often each kind has fired since the start."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, *, path: str = "", method: str = "", at: int = 1, times: int = 1, **options: Any) -> Fault:
        """Set up a fault; ValueError for a kind that does not exist (the README lists kinds and options)."""
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}: expected one of {', '.join(KINDS)}")
        fault = Fault(kind, path, method, at, times, options)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults; the counts stay."""
        self._faults.clear()

    def fired(self, kind: str) -> int:
        """How often faults of a kind have fired."""
        return self.counts[kind]

    def firing(self, call: Call) -> dict[str, Fault]:
        """The faults that fire on this call, by kind; asking counts the call."""
        firing = {}
        for fault in list(self._faults):
            if fault.matches(call) and fault.due():
                firing[fault.kind] = fault
                self.counts[fault.kind] += 1
        return firing

    def listed(self) -> list[Json]:
        """All faults as values."""
        return [asdict(fault) for fault in self._faults]


def early_answer(firing: dict[str, Fault]) -> Answer | None:
    """The answer that stands in for the real one, None where there is none."""
    if "status" in firing:
        options = firing["status"].options
        return _text(options.get("text", "系统繁忙，请稍后再试"), int(options.get("status", 500)))
    if "forbidden" in firing:
        return _text(UNAUTHORISED, 403)
    if "rate_limited" in firing:
        wait = firing["rate_limited"].options.get("retry_after")
        headers = () if wait is None else (("retry-after", str(wait)),)
        return Answer("请求过于频繁".encode(), 429, TEXT_TYPE, headers)
    if "html" in firing:
        return Answer(_HTML.encode(), 200, "text/html;charset=UTF-8")
    return None


def _text(text: str, status: int) -> Answer:
    return Answer(text.encode(), status, TEXT_TYPE)


class PageFaults:
    """Faults of list pages; remembers the page before, for the one served twice."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Answer] = {}

    def alter(self, call: Call, answer: Answer, firing: dict[str, Fault]) -> Answer:
        """The page that is served in place of the right one."""
        if LIST_PATH not in call.path:
            return answer
        name = (call.query.get("type", ""), call.query.get("active", "-"))
        before = self._last.get(name)
        self._last[name] = answer
        if "duplicate_page" in firing and before is not None:
            return before
        if "empty_page" in firing:
            total = answer.body[: answer.body.index(b",")]
            return Answer(total + b',"items":[]}')
        if "zero_count" in firing and call.query.get("start", "0") != "0":
            return Answer(b'{"count":0' + answer.body[answer.body.index(b",") :])
        return answer


def with_unknown_keys(answer: Answer) -> Answer:
    """The answer with keys in every flow that no documentation names."""
    return Answer(answer.body.replace(b'{"pipeline":1,', _NEW_KEYS), answer.status, answer.content_type)
