"""Attachments of claims. Source: ``POST v1/flowDetails/attachment``, ``POST v2/attachment/downloadurls``.

Links live for an hour at most and carry a signature: store ``fileId`` and ``key``, ask for a link when needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from etl.hesi.batches import distinct_batches
from etl.hesi.client import Answer, HesiClient
from etl.hesi.endpoints import DOWNLOAD_URLS, FLOW_ATTACHMENTS, PAGE

LONGEST_LINK_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file by the two names that last."""

    file_id: str
    key: str


def flow_attachments(client: HesiClient, flow_ids: Iterable[str]) -> Iterator[Answer]:
    """Lists of ``{flowId, flowCode, fromType, attachmentList[…]}``, 100 claims a call.

    In invoice entries ``invoiceNumber`` is the code and ``invoiceCode`` the number: swapped by Hesi.
    """
    for ids in distinct_batches(flow_ids, PAGE):
        yield client.answer(FLOW_ATTACHMENTS, body={"flowIds": ids})


def download_urls(client: HesiClient, files: Iterable[StoredFile], *, seconds: int = LONGEST_LINK_SECONDS) -> Iterator[Answer]:
    """Lists of ``{id, key, url}``, 100 files a call, each link good for ``seconds``; unknown files are missing.

    Raises:
        ValueError: more than 1800 s, which Hesi refuses.
    """
    if not 0 < seconds <= LONGEST_LINK_SECONDS:
        raise ValueError(f"expected 1 to {LONGEST_LINK_SECONDS} seconds, found {seconds}")
    rest = iter(files)
    while batch := list(islice(rest, PAGE)):
        body = [{"id": file.file_id, "key": file.key, "expiration": seconds} for file in batch]
        yield client.answer(DOWNLOAD_URLS, body=body)
