"""Servers that are not Hesi: what a connection to the wrong place meets, and proof of what it told them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.server import listen


@contextmanager
def stranger(folder: Path) -> Iterator[int]:
    """Port of a TLS server with a certificate it signed itself; what it hears is kept in ``heard``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "stranger.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with _hearing(folder, context) as port:
        yield port


@contextmanager
def listener_without_tls(folder: Path) -> Iterator[int]:
    """Port of a server that does not speak TLS."""
    with _hearing(folder, None) as port:
        yield port


@contextmanager
def _hearing(folder: Path, context: ssl.SSLContext | None) -> Iterator[int]:
    """A server that listens and answers nothing a client of https could use."""
    heard = (folder / "heard").open("ab")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the case is over
                return
            with contextlib.suppress(OSError), connection:
                connection.settimeout(5)
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                heard.write(connection.recv(65_536))
                heard.flush()
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with heard, listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
