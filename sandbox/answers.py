"""Requests and answers as the handlers see them; errors are text, as Hesi sends them (section 1.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.clock import instant_of

JSON_TYPE = "application/json;charset=UTF-8"
TEXT_TYPE = "text/plain;charset=UTF-8"
MISSING = "Error 404 Not Found"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: status, body and content type."""

    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """The call ends with a status and a text, as documented for it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Call:
    """One request: path parameters, query (the last of repeated names wins) and body."""

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    host: str

    def json(self) -> Any:
        """The body's values; 412 with Hesi's text when it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Refused(412, "JSON请求参数不正确") from None

    def whole_number(self, name: str, *, lowest: int = 0) -> int:
        """A required whole number of the query; 400 with Hesi's text when missing or no number."""
        text = self.query.get(name, "")
        if not text:
            raise Refused(400, f"输入存在错误:\n- 缺少{name}参数")
        if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < lowest:
            raise Refused(400, f"输入存在错误:\n- {name}参数不合法")
        return int(text)

    def page(self) -> tuple[int, int]:
        """`start` and `count` of a list call; count is 1 to 100."""
        start, count = self.whole_number("start"), self.whole_number("count", lowest=1)
        if count > 100:
            raise Refused(400, "count参数不能大于100")
        return start, count

    def window(self) -> tuple[int | None, int | None]:
        """`startDate` and `endDate` in milliseconds; a text in another format is refused."""
        return self._instant("startDate"), self._instant("endDate")

    def presence(self, name: str) -> bool | None:
        """A tri-state: absent = None (everything), `true` = True, empty or anything else = False."""
        return None if name not in self.query else self.query[name] == "true"

    def ids(self, name: str = "ids") -> list[str]:
        """The ids of a path parameter `[a,b]`."""
        return [part for part in self.params[name].split(",") if part]

    def _instant(self, name: str) -> int | None:
        text = self.query.get(name, "")
        if not text:
            return None
        try:
            return instant_of(text)
        except ValueError:
            raise Refused(400, f"输入存在错误:\n- {name}参数格式不正确") from None


def ok(value: Any) -> Answer:
    """200 with JSON."""
    return Answer(orjson.dumps(value))


def refused(error: Refused) -> Answer:
    """A refusal as the text Hesi sends."""
    return Answer(error.text.encode(), error.status, TEXT_TYPE)
