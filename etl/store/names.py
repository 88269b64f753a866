"""Names that may become part of a path: run ids and page names come back from databases, tasks and index files."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,119}", re.ASCII)
# A home may lie on a share that Windows serves: these names are devices there.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII)


def is_plain_name(name: str) -> bool:
    """Whether a name is one file or folder of ours: letters, digits, ``_``, ``-`` and dots, no more than 120, hidden never.

    >>> is_plain_name("20261014T180000000-3fa2"), is_plain_name("../raw"), is_plain_name(".hidden"), is_plain_name("nul.json")
    (True, False, False, False)
    """
    return bool(_PLAIN.fullmatch(name)) and not _DEVICE.fullmatch(name)
