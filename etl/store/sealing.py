"""Encryption of raw pages at rest: the first key seals, every key opens, so that a key can be replaced without a gap.

The ciphers are Fernet tokens (AES-128-CBC with HMAC-SHA256) of the ``cryptography`` package; its MultiFernet is the rotation.
"""

from __future__ import annotations

from collections.abc import Sequence

from etl.errors import ConfigError, RawPageAltered
from etl.redaction import register_secret

SUFFIX = ".enc"


class Sealing:
    """Seals and opens bytes with a list of Fernet keys, newest first.

    Raises:
        ConfigError: a key is not 32 bytes in URL-safe base64; the key itself is not repeated.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        # Only where pages are encrypted: importing the ciphers costs a plain run nothing.
        from cryptography.fernet import Fernet, MultiFernet

        for key in keys:
            register_secret(key)
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            reason = "HESI_ERP_RAW_KEYS: expected Fernet keys (44 characters of URL-safe base64), separated by commas; found another text"
        else:
            return
        raise ConfigError(reason)

    def seal(self, body: bytes) -> bytes:
        """``body`` sealed with the first key."""
        return self._fernet.encrypt(body)

    def open(self, sealed: bytes, *, where: str) -> bytes:
        """What was sealed.

        Raises:
            RawPageAltered: no key opens it, or somebody changed it.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            reason = (
                f"{where}: expected a page that one of HESI_ERP_RAW_KEYS opens, found none that does; add the key it was written with to the end of the list, "
                "or restore the page if it was changed"
            )
        raise RawPageAltered(reason)

    def reseal(self, sealed: bytes, *, where: str) -> bytes:
        """The same content under the first key; raises as :meth:`open`."""
        return self.seal(self.open(sealed, where=where))
