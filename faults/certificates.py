"""Server certificates with one thing wrong each, made when they are needed, and the authority that vouches for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FLAWS = ("self-signed", "of an unknown authority", "expired", "not valid yet", "of another host")
_HERE: x509.GeneralName = x509.IPAddress(ip_address("127.0.0.1"))
_ELSEWHERE: x509.GeneralName = x509.DNSName("hesi.example.org")


@dataclass(frozen=True)
class Issued:
    """``chain``: certificate and key of a server on this machine. ``trusted``: what SSL_CERT_FILE of its client names."""

    chain: Path
    trusted: Path


def issue(folder: Path, flaw: str = "") -> Issued:
    """A certificate that is good except for the flaw."""
    authority, key = _name("authority"), ec.generate_private_key(ec.SECP256R1())
    own, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    signer = own if flaw == "self-signed" else ec.generate_private_key(ec.SECP256R1()) if flaw == "of an unknown authority" else key
    issuer = _name("server") if flaw == "self-signed" else authority
    days = {"expired": (-3, -1), "not valid yet": (1, 3)}.get(flaw, (-1, 1))
    certificate = (
        _certificate("server", own.public_key(), issuer, [now + timedelta(days=day) for day in days])
        .add_extension(x509.SubjectAlternativeName([_ELSEWHERE if flaw == "of another host" else _HERE]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    root = (
        _certificate("authority", key.public_key(), authority, [now - timedelta(days=9), now + timedelta(days=9)])
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    issued = Issued(folder / f"server-{flaw or 'good'}.pem", folder / f"authority-{flaw or 'good'}.pem")
    issued.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    issued.trusted.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    return issued


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name, valid: list[datetime]) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(valid[0]).not_valid_after(valid[1])
