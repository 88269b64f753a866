"""Raw claims behind the references of vouchers, one page in memory at a time; a page that is gone or altered has none."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from etl.errors import RawPageAltered
from etl.payload import page_items
from etl.store.raw import RawPage, RawStore


class Approval(msgspec.Struct, frozen=True):
    """One step of a claim's approval trail; people are Hesi's staff ids."""

    action: str = ""
    state: str | None = None
    operatorId: str | None = None  # noqa: N815 - Hesi's own name
    time: int | None = None


class _Form(msgspec.Struct):
    submitterId: str | dict[str, Raw] | None = None  # noqa: N815 - Hesi's own name


class Trail(msgspec.Struct):
    """Who submitted and who decided."""

    form: _Form
    logs: list[Approval] = []
    ownerId: str | dict[str, Raw] | None = None  # noqa: N815 - Hesi's own name

    @property
    def people(self) -> set[str]:
        """Staff ids of submitter and owner."""
        return {value for value in (self.form.submitterId, self.ownerId) if isinstance(value, str) and value}


_TRAIL = msgspec.json.Decoder(Trail)


class RawClaims:
    """Pages of one home; ask in order of the reference, and each page is read once."""

    def __init__(self, store: RawStore) -> None:
        self._store = store
        self._indexes: dict[str, dict[str, RawPage]] = {}
        self._place, self._items = "", list[Raw]()

    def page(self, raw_ref: str) -> list[Raw]:
        """All items of the page a reference points into; empty when it is not kept unchanged."""
        place = raw_ref.rpartition("#")[0]
        if place != self._place:
            self._place, self._items = place, self._read(place)
        return self._items

    def item(self, raw_ref: str) -> Raw | None:
        """The claim a reference points to."""
        items, number = self.page(raw_ref), raw_ref.rpartition("#")[2]
        return items[int(number)] if number.isdecimal() and int(number) < len(items) else None

    def trail(self, raw_ref: str) -> Trail | None:
        """The approval trail of a claim; None when it cannot be read."""
        item = self.item(raw_ref)
        if item is None:
            return None
        try:
            return _TRAIL.decode(item)
        except msgspec.MsgspecError:
            return None

    def sha256(self, raw_ref: str) -> str:
        """The stored hash of the page; empty when the run's index is gone."""
        run_id, _, file = raw_ref.rpartition("#")[0].partition("/")
        page = self._index(run_id).get(file)
        return "" if page is None else page.sha256

    def _read(self, place: str) -> list[Raw]:
        run_id, _, file = place.partition("/")
        page = self._index(run_id).get(file)
        if page is None:
            return []
        try:
            return page_items(self._store.read(run_id, page))
        except RawPageAltered:
            return []  # 2-extraction/pages.csv names the page and what is wrong with it

    def _index(self, run_id: str) -> dict[str, RawPage]:
        if run_id not in self._indexes:
            self._indexes[run_id] = {page.file: page for page in self._store.index(run_id)}
        return self._indexes[run_id]
