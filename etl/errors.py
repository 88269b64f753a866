"""The reasons a run stops.

A bad claim is a value (:mod:`etl.rejects`); an exception means nobody can go on. Three families tell the
scheduler what to do::

    EtlError
    |-- ConfigError        a setting, mapping or suite is wrong     -> exit 2, fail now, nothing was read
    |-- TransientError     the other side may recover               -> retry the task
    |   |-- RateLimited, SourceUnavailable, SinkUnavailable, TokenExpired, BudgetCalculating
    |   `-- AnchorUnavailable, CommitUnknown, StorageUnavailable, TaskLost
    `-- TerminalError      a person must act                        -> exit 1, fail now
        |-- AuthenticationFailed, HostRefused, NotAllowed, SourceRefused, PayloadChanged, PagingStuck
        |-- TooManyRejects, BatchRefused, ControlTotalMismatch, ValidatorFailed, RawPageAltered
        |-- SchemaOutdated, AnotherRunActive, RulesChanged
        `-- AuditLogAltered, PackTooLarge

Every message says what was expected, what was found, where, and what to do next. ``code`` is the entry in
``docs/runbook.md``; it is the class name in upper snake case so that the two cannot drift apart.
"""

from __future__ import annotations

import re


class EtlError(Exception):
    """Base of every error raised on purpose. ``code`` names its runbook entry."""

    @property
    def code(self) -> str:
        """Upper snake case of the class name, e.g. ``RATE_LIMITED``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).upper()


class ConfigError(EtlError):
    """A setting, mapping or expectation file is wrong; ``problems`` lists every mistake found."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message if not problems else "\n".join((message, *problems)))
        self.problems = problems


class TransientError(EtlError):
    """The other side may recover by itself: try the step again."""


class RateLimited(TransientError):
    """Hesi asked for a pause longer than ``HESI_MAX_RETRY_AFTER_SECONDS`` allows."""


class SourceUnavailable(TransientError):
    """Hesi did not give a usable answer within the retry budget."""


class SinkUnavailable(TransientError):
    """The ERP database did not take the batch; nothing of it was committed."""


class CommitUnknown(TransientError):
    """The answer to a commit was lost: the batch is posted or it is not, and it is looked up before anything is sent again."""


class TokenExpired(TransientError):
    """Hesi refused the access token again right after it was renewed."""


class BudgetCalculating(TransientError):
    """Hesi is still recalculating a budget package."""


class AnchorUnavailable(TransientError):
    """A head of the audit log could not be kept in ``HESI_ERP_ANCHOR_DIR``."""


class StorageUnavailable(TransientError):
    """A file of this program could not be written: the disk is full or read-only, or the right to write is missing."""


class TaskLost(TransientError):
    """A task of the run was killed or never started; clear it in Airflow, and the run continues from there."""


class TerminalError(EtlError):
    """Trying again will not help: a person must act."""


class AuthenticationFailed(TerminalError):
    """Hesi refused the application key or secret."""


class HostRefused(TerminalError):
    """An address outside ``HESI_ALLOWED_HOSTS``, plain http to another machine, a redirect, or a certificate this machine does not trust."""


class NotAllowed(TerminalError):
    """The tenant does not grant this call (feature gate or missing permission)."""


class PayloadChanged(TerminalError):
    """A response no longer has the documented envelope."""


class SourceRefused(TerminalError):
    """Hesi refused a call for a business reason; ``status`` and ``text`` are its own words."""

    def __init__(self, message: str, *, status: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.text = text


class PagingStuck(TerminalError):
    """A list keeps answering the same page; going on would loop for ever."""


class TooManyRejects(TerminalError):
    """The reject-rate stop: posting the rest would hide a systematic mistake."""


class BatchRefused(TerminalError):
    """The batch breaks a rule of the ledger; nothing of it was committed."""


class ControlTotalMismatch(TerminalError):
    """Counts or sums read back from the target differ from what was sent."""


class ValidatorFailed(TerminalError):
    """A suite is missing, changed its rules, or the validator crashed: fail closed."""


class RawPageAltered(TerminalError):
    """A stored source page no longer has the hash it was stored with."""


class SchemaOutdated(TerminalError):
    """The database holds a newer or unknown schema version."""


class AnotherRunActive(TerminalError):
    """Another run holds the posting lock, or a run that began to read later has posted."""


class RulesChanged(TerminalError):
    """Mappings or suites changed while a run was under way; it never goes on under two versions of its rules."""


class AuditLogAltered(TerminalError):
    """The audit log no longer ends with an entry this program wrote."""


class PackTooLarge(TerminalError):
    """A pack beyond 4 GiB or 65,535 files needs another container format, whose freedom could not be checked."""
