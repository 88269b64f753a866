"""Keys as people write them, and what they sign."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from etl.audit.keys import Signer, key_bytes, key_id, new_key_pair, public_key, verified
from etl.errors import ConfigError
from etl.redaction import redact

PRIVATE = bytes(range(32))


BASE64 = base64.b64encode(PRIVATE).decode()
FORMS = [PRIVATE.hex(), PRIVATE.hex().upper(), f" {PRIVATE.hex()}\n", BASE64, base64.urlsafe_b64encode(PRIVATE).decode().rstrip("=")]


@pytest.mark.parametrize("text", FORMS)
def test_a_key_is_read_as_hex_and_as_base64(text: str) -> None:
    assert key_bytes(text) == PRIVATE


@pytest.mark.parametrize("text", ["", "abc", PRIVATE.hex()[:-1], base64.b64encode(PRIVATE + b"x").decode(), "not a key!"])
def test_anything_else_is_no_key_and_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes as 64 hex digits or as base64") as caught:
        key_bytes(text)
    assert not text or text not in str(caught.value)


def test_a_public_key_is_read_from_a_pem_file(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key()
    file = tmp_path / "key.pem"
    file.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert public_key(str(file)) == Signer(PRIVATE).public == public_key(Signer(PRIVATE).public.hex())


def test_a_public_key_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="public key: expected an Ed25519 key"):
        public_key("nothing")


def test_a_signature_holds_for_its_message_and_key_only() -> None:
    signer, other = Signer(PRIVATE), Signer(bytes(32))
    signature = signer.sign(b"head")
    assert verified(signer.public, message=b"head", signature=signature)
    assert not verified(signer.public, message=b"heads", signature=signature)
    assert not verified(other.public, message=b"head", signature=signature)
    assert not verified(signer.public, message=b"head", signature="no hex")


def test_the_private_key_never_passes_a_log() -> None:
    private, public = new_key_pair()
    signer = Signer.from_secret(private)
    assert signer is not None
    assert signer.public.hex() == public
    assert signer.key_id == key_id(bytes.fromhex(public))
    assert private not in redact(f"key {private} end")


def test_no_key_is_no_signer_and_a_wrong_one_is_a_wrong_setting() -> None:
    assert Signer.from_secret("") is None
    with pytest.raises(ConfigError, match="HESI_ERP_SIGNING_KEY") as caught:
        Signer.from_secret("canary-wrong-key")
    assert "canary-wrong-key" not in str(caught.value)
