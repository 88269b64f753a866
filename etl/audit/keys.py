"""Ed25519 keys: a private one from the environment to sign with, public ones to check with.

A key is 32 bytes, written as 64 hex digits or as base64. ``cryptography`` does the arithmetic and is imported only when
something is signed or checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

from etl.errors import ConfigError
from etl.redaction import register_secret

_BYTES = 32
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(.+?)-----END PUBLIC KEY-----", re.DOTALL)
_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before the 32 bytes of a public key


def key_bytes(text: str) -> bytes:
    """The 32 bytes of a key written as hex or base64.

    Raises:
        ValueError: it is neither; the text is not repeated, it may be secret.
    """
    compact = "".join(text.split())
    if re.fullmatch(r"[0-9a-fA-F]{64}", compact):
        return bytes.fromhex(compact)
    try:
        raw = base64.b64decode(compact.replace("-", "+").replace("_", "/") + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _BYTES:
        raise ValueError("expected an Ed25519 key: 32 bytes as 64 hex digits or as base64")
    return raw


def public_key(text: str) -> bytes:
    """A public key from hex, base64, PEM text, or the path of a file that holds one of these.

    Raises:
        ConfigError: it is none of these.
    """
    path = Path(text)
    if len(text) < 1024 and path.is_file():
        text = path.read_text(encoding="ascii", errors="replace")
    try:
        if pem := _PEM.search(text):
            der = base64.b64decode("".join(pem[1].split()))
            if not der.startswith(_SPKI):
                raise ValueError("expected an Ed25519 public key in the PEM file")
            return key_bytes(der.removeprefix(_SPKI).hex())
        return key_bytes(text)
    except ValueError as error:
        raise ConfigError(f"public key: {error}; `hesi-erp audit new-key` makes a pair") from None


def key_id(public: bytes) -> str:
    """Sixteen hex digits that name a public key in heads and manifests."""
    return hashlib.sha256(public).hexdigest()[:16]


class Signer:
    """A private key that signs heads and manifests."""

    def __init__(self, private: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = key_id(self.public)

    @classmethod
    def from_secret(cls, text: str) -> Signer | None:
        """The signer of ``HESI_ERP_SIGNING_KEY``; None where it is not set. The text never passes a log from now on.

        Raises:
            ConfigError: the text is no key.
        """
        if not text:
            return None
        register_secret(text)
        try:
            return cls(key_bytes(text))
        except ValueError as error:
            raise ConfigError(f"HESI_ERP_SIGNING_KEY: {error}; `hesi-erp audit new-key` makes one") from None

    def sign(self, message: bytes) -> str:
        """The signature as 128 hex digits."""
        return self._key.sign(message).hex()


def verified(public: bytes, *, message: bytes, signature: str) -> bool:
    """Whether ``signature`` (hex) is that of ``message`` by the holder of the private key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def new_key_pair() -> tuple[str, str]:
    """A fresh private and public key, as hex."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return private.hex(), Signer(private).public.hex()
