"""Where every claim version stands: what runs have in hand, who wrote each state, and the view that tells it all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.erp.columns import document, identifier, instant

revision = "0004"
down_revision = "0003"

# How each database opens the JSON array of a row, and writes a text beyond ASCII.
_OPENED = {
    "sqlite": "json_each(h.claims) j",
    "postgresql": "json_array_elements(CAST(h.claims AS json)) AS j(value)",
    "mssql": "OPENJSON(h.claims) j",
}
_ITEM = {
    "sqlite": ("json_extract(j.value, '$[0]')", "json_extract(j.value, '$[1]')", "json_extract(j.value, '$[2]')"),
    # Of the columns' very type and collation: or PostgreSQL reads the whole view for one claim.
    "postgresql": (
        'CAST(j.value ->> 0 AS varchar) COLLATE "C"',
        'CAST(j.value ->> 1 AS varchar) COLLATE "C"',
        "CAST(j.value ->> 2 AS bigint)",
    ),
    "mssql": (
        "JSON_VALUE(j.value, '$[0]') COLLATE Latin1_General_100_BIN2",
        "JSON_VALUE(j.value, '$[1]') COLLATE Latin1_General_100_BIN2",
        "CAST(JSON_VALUE(j.value, '$[2]') AS BIGINT)",
    ),
}
_CROSS = {"sqlite": "CROSS JOIN", "postgresql": "CROSS JOIN LATERAL", "mssql": "CROSS APPLY"}
_TEXT = {"sqlite": "'{}'", "postgresql": "'{}'", "mssql": "N'{}'"}

# One entry after the other: entries as they are decided, versions left behind, claims without any entry, claims in hand.
_VIEW = """CREATE VIEW claim_standing AS
SELECT x.source_system, x.claim_id, x.claim_code, x.entry_kind, x.part_no, x.claim_version,
  CASE WHEN x.state <> 'posted' THEN x.state WHEN x.unanswered = 1 THEN 'unknown' WHEN x.unsent = 1 THEN 'write_back_pending'
    WHEN x.settled_at IS NOT NULL THEN 'settled' WHEN x.number_status = 'DONE' THEN 'written_back' ELSE 'posted' END AS state,
  CASE WHEN x.state <> 'posted' THEN x.loaded_at WHEN x.unsent = 1 THEN x.number_at WHEN x.settled_at IS NOT NULL THEN x.settled_at
    WHEN x.number_status = 'DONE' THEN x.number_at ELSE COALESCE(x.posted_at, x.loaded_at) END AS since,
  CASE WHEN x.state <> 'posted' THEN COALESCE(x.rule, '') WHEN x.number_status <> 'DONE' THEN x.number_status ELSE '' END AS cause,
  CASE WHEN x.state <> 'posted' THEN COALESCE(x.refused, '') ELSE COALESCE(x.number_reason, '') END AS reason,
  CASE WHEN x.state <> 'posted' THEN x.run_id WHEN x.unsent = 1 THEN x.number_run WHEN x.settled_at IS NOT NULL THEN x.settled_run
    WHEN x.number_status = 'DONE' THEN x.number_run ELSE COALESCE(x.posted_run, x.run_id) END AS run_id,
  CASE WHEN x.state <> 'posted' THEN COALESCE(x.refused_owner, '') WHEN x.number_status IN ('RETRY', 'FAILED') THEN {it}
    WHEN x.number_status = 'BLOCKED' THEN {finance} ELSE '' END AS owner
FROM (
  SELECT s.source_system, s.claim_id, s.claim_code, s.entry_kind, s.part_no, s.claim_version, s.state, s.loaded_at, s.run_id,
    r.rule, r.reason AS refused, r.owner AS refused_owner,
    o.status AS number_status, o.reason AS number_reason, o.updated_at AS number_at, o.run_id AS number_run,
    CASE WHEN o.status IN ('PENDING', 'RETRY', 'FAILED') THEN 1 ELSE 0 END AS unsent,
    CASE WHEN o.status = 'RETRY' AND o.reason LIKE 'ANSWER_LOST%' THEN 1 ELSE 0 END AS unanswered,
    (SELECT MAX(b.created_at) FROM voucher v JOIN posting_batch b ON b.batch_id = v.batch_id
      WHERE {of_entry} AND v.claim_version = s.claim_version AND v.reverses_revision IS NULL) AS posted_at,
    (SELECT MAX(b.run_id) FROM voucher v JOIN posting_batch b ON b.batch_id = v.batch_id
      WHERE {of_entry} AND v.claim_version = s.claim_version AND v.reverses_revision IS NULL) AS posted_run,
    (SELECT CASE WHEN MIN(CASE WHEN p.state = 'posted' THEN 1 ELSE 0 END) = 1 THEN MAX(p.loaded_at) END {payments}) AS settled_at,
    (SELECT MAX(p.run_id) {payments}) AS settled_run
  FROM claim_state s
  LEFT JOIN writeback_outbox o ON o.source_system = s.source_system AND o.claim_id = s.claim_id AND s.entry_kind = 'EXPENSE'
  LEFT JOIN claim_reject r ON r.source_system = s.source_system AND r.claim_id = s.claim_id AND s.state IN ('held', 'rejected', 'waiting')
    AND r.entry_kind = CASE WHEN s.state = 'waiting' THEN 'EXPENSE' ELSE s.entry_kind END
) x
UNION ALL
SELECT v.source_system, v.claim_id, v.claim_code, v.entry_kind, v.part_no, v.claim_version,
  CASE WHEN MIN(v.status) = 'POSTED' THEN 'posted' ELSE 'reversed' END,
  MAX(COALESCE(rb.created_at, b.created_at)),
  CASE WHEN MIN(v.status) = 'POSTED' THEN 'CORRECTED' ELSE 'REVERSED' END, '', MAX(COALESCE(rb.run_id, b.run_id)), ''
FROM voucher v
JOIN posting_batch b ON b.batch_id = v.batch_id
LEFT JOIN voucher red ON red.source_system = v.source_system AND red.claim_id = v.claim_id AND red.entry_kind = v.entry_kind
  AND red.part_no = v.part_no AND red.company_code = v.company_code AND red.book_code = v.book_code AND red.reverses_revision = v.revision
LEFT JOIN posting_batch rb ON rb.batch_id = red.batch_id
WHERE v.reverses_revision IS NULL AND v.entry_kind NOT IN ('CORRECTION', 'RECLASS')
  AND NOT EXISTS (SELECT 1 FROM claim_state s WHERE {of_entry} AND s.claim_version = v.claim_version)
GROUP BY v.source_system, v.claim_id, v.claim_code, v.entry_kind, v.part_no, v.claim_version
UNION ALL
SELECT r.source_system, r.claim_id, r.claim_code, r.entry_kind, 0, NULL, r.disposition, r.loaded_at, r.rule, r.reason, r.run_id, r.owner
FROM claim_reject r
WHERE NOT EXISTS (SELECT 1 FROM claim_state s
  WHERE s.source_system = r.source_system AND s.claim_id = r.claim_id AND s.entry_kind = r.entry_kind)
UNION ALL
SELECT 'hesi', {item[0]}, {item[1]}, '', 0, {item[2]}, h.state, h.updated_at, h.cause, '', h.run_id,
  CASE WHEN h.state IN ('unknown', 'failed') THEN {it} ELSE '' END
FROM claim_in_hand h {cross} {opened}"""


def upgrade() -> None:
    """Rows of earlier versions do not know their run; the view looks it up in their batch."""
    op.add_column("claim_state", sa.Column("run_id", identifier(64)))
    op.add_column("claim_reject", sa.Column("loaded_at", instant()))
    op.add_column("claim_reject", sa.Column("run_id", identifier(64)))
    op.add_column("writeback_outbox", sa.Column("run_id", identifier(64)))
    op.create_table(
        "claim_in_hand",
        sa.Column("run_id", identifier(64), nullable=False),
        sa.Column("chunk_no", sa.Integer, nullable=False),
        sa.Column("state", identifier(10), nullable=False),
        sa.Column("cause", identifier(60), nullable=False),
        sa.Column("claims", document(), nullable=False),
        sa.Column("began_at", instant()),
        sa.Column("updated_at", instant(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "chunk_no"),
        sa.CheckConstraint("state IN ('seen', 'staged', 'ready', 'posting', 'unknown', 'failed')", name="state"),
    )
    op.execute(sa.text(view(op.get_context().dialect.name).replace(":", r"\:")))


def view(dialect: str) -> str:
    """The view as one database understands it."""
    same = "v.source_system = s.source_system AND v.claim_id = s.claim_id AND v.entry_kind = s.entry_kind AND v.part_no = s.part_no"
    payments = (
        "FROM claim_state p WHERE p.source_system = s.source_system AND p.claim_id = s.claim_id AND s.entry_kind = 'EXPENSE'\n"
        "      AND p.entry_kind = 'PAYMENT' AND p.state NOT IN ('skipped', 'reversed')"
    )
    it, finance = (_TEXT[dialect].format(name) for name in ("数据工程", "财务"))
    return _VIEW.format(of_entry=same, payments=payments, it=it, finance=finance, item=_ITEM[dialect], cross=_CROSS[dialect], opened=_OPENED[dialect])
