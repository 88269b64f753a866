"""From a claim to every voucher line and back: rule, version, validation, batch; or why it is not posted and whose turn it is.

Read from the ERP database and, for validation results and history, the run ledger; without the ledger the vouchers are
explained all the same. Summaries are left out: they carry names and say nothing the figures do not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from etl.erp import schema
from etl.erp.engine import reading
from etl.errors import ConfigError
from etl.explain_model import (
    Batch,
    Check,
    Claim,
    Dimension,
    Drift,
    Entry,
    Explanation,
    Invoice,
    Line,
    Refusal,
    Refused,
    Remark,
    Source,
    Voucher,
    VoucherOf,
    WriteBack,
)
