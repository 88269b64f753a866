"""The verifier's own Ed25519 against the vectors of RFC 8032 and against ``cryptography``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from etl.audit.keys import Signer, verified
from etl.evidence.verify import ORDER, P, signed_by

# RFC 8032, 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc_hold(secret: str, public: str, message: str, signature: str) -> None:
    signer = Signer(bytes.fromhex(secret))
    assert (signer.public.hex(), signer.sign(bytes.fromhex(message))) == (public, signature)
    assert signed_by(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_no_vector_holds_with_one_bit_changed(secret: str, public: str, message: str, signature: str) -> None:
    key, said, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    for place in range(0, 64, 5):
        flipped = signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :]
        assert not signed_by(key, said, flipped), place
    for place in range(0, 32, 7):
        assert not signed_by(key[:place] + bytes([key[place] ^ 1]) + key[place + 1 :], said, signed), place
    assert not signed_by(key, said + b"\0", signed)


@limits(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_it_agrees_with_cryptography_on_right_and_on_wrong_signatures(secret: bytes, message: bytes, bit: int) -> None:
    signer = Signer(secret)
    right = bytes.fromhex(signer.sign(message))
    wrong = (int.from_bytes(right, "little") ^ (1 << bit)).to_bytes(64, "little")
    assert signed_by(signer.public, message, right)
    assert signed_by(signer.public, message, wrong) == verified(signer.public, message=message, signature=wrong.hex())


def test_a_signature_whose_number_is_not_reduced_is_refused() -> None:
    signer = Signer(bytes(32))
    signature = bytes.fromhex(signer.sign(b"x"))
    larger = int.from_bytes(signature[32:], "little") + ORDER
    assert not signed_by(signer.public, b"x", signature[:32] + larger.to_bytes(32, "little"))


NO_POINTS = [(b"", b""), (bytes(31), bytes(64)), (P.to_bytes(32, "little"), bytes(64)), (b"\xff" * 32, bytes(64)), (b"\x02" + bytes(31), bytes(64))]


@pytest.mark.parametrize(("public", "signature"), NO_POINTS)
def test_what_is_no_point_of_the_curve_signs_nothing(public: bytes, signature: bytes) -> None:
    assert not signed_by(public, b"x", signature)
