"""Vouchers into a relational database: SQLite, PostgreSQL or SQL Server through one port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from etl.erp import fitness, lookup, schema
from etl.erp.engine import open_engine, reading, writing
from etl.erp.fence import new_fence, pass_fence, take_posting_lock
from etl.erp.first_load import look_ups_built_afterwards
from etl.erp.migrate import migrate
from etl.erp.outbox import Outbox
from etl.erp.port import LoadReceipt, PostingBatch, PostingChunk
from etl.erp.posting import Posting
from etl.erp.standing import ClaimsInHand


class DatabaseSink:
    """A :class:`~etl.erp.port.VoucherSink` on an ERP database.

    Args:
        engine: from :func:`etl.erp.engine.open_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.outbox = Outbox(engine)
        self.in_hand = ClaimsInHand(engine)

    @classmethod
    def open(cls, url: str, *, lock_wait_seconds: int = 60) -> DatabaseSink:
        """The sink behind ``ERP_URL``, its tables brought to this version.

        Raises:
            ConfigError: the database is not supported; SinkUnavailable: it does not answer; SchemaOutdated: it is newer.
        """
        sink = cls(open_engine(url, lock_wait_seconds=lock_wait_seconds))
        sink.prepare()
        return sink

    def prepare(self) -> None:
        """Brings the tables to this version of the program."""
        migrate(self.engine)

    def fence(self) -> datetime:
        """The fence of a run that begins to read now."""
        with reading(self.engine) as connection:
            return new_fence(connection)

    def known_states(self, claim_ids: Sequence[str]) -> pd.DataFrame:
        """Where the entries of these claims stand."""
        with reading(self.engine) as connection:
            return lookup.known_states(connection, claim_ids)

    def open_entries(self) -> pd.DataFrame:
        """Entries that are held, rejected or waiting."""
        with reading(self.engine) as connection:
            return lookup.open_entries(connection)

    def watermarks(self) -> dict[str, int]:
        """Stream -> epoch milliseconds up to which everything is finished."""
        table = schema.watermark
        with reading(self.engine) as connection:
            return {row.stream: lookup.milliseconds(row.updated_at) for row in connection.execute(sa.select(table))}

    def unfit(self, chunk: PostingChunk) -> pd.DataFrame:
        """Ready entries the tables cannot hold."""
        return fitness.unfit(chunk)

    def post(self, batch: PostingBatch) -> LoadReceipt:
        """Posts the batch in one transaction, under the posting lock, and proves it before the commit."""
        with writing(self.engine) as connection:
            take_posting_lock(connection)
            if batch.fence is not None:
                pass_fence(connection, batch.fence)
            with look_ups_built_afterwards(connection):
                posting = Posting(connection, batch)
                for chunk in batch.chunks:
                    posting.take(chunk)
                    del chunk  # or two chunks would be in memory while the next one is read
                return posting.finish()

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()
