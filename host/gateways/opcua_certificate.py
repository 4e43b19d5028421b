"""The server's own certificate: the one named in the settings, or one made at the first start."""

import datetime
import os
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 3650
KEY_BITS = 2048


def own(folder: Path, uri: str) -> tuple[Path, Path]:
    """Certificate and key in `folder`, made if they are not there. Raises OSError."""
    cert_file, key_file = folder / "opcua-cert.pem", folder / "opcua-key.pem"
    if not (cert_file.is_file() and key_file.is_file()):
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(key_file, secret, 0o600)
        _write(cert_file, _certificate(key, uri).public_bytes(Encoding.PEM), 0o644)
    return cert_file, key_file


def private_key(file: Path) -> PrivateKeyTypes:
    """Raises OSError, ValueError, TypeError for one with a passphrase.

    Unlike asyncua it does not look for the primes of a key that is our own: that holds up the whole
    program for 50 ms.
    """
    data = file.read_bytes()
    load = load_pem_private_key if data.startswith(b"-----") else load_der_private_key
    return load(data, None, unsafe_skip_rsa_key_validation=True)


def uri_of(certificate: x509.Certificate) -> str | None:
    """The application URI a certificate is for: clients compare it with the server's."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    return found[0] if found else None


def _certificate(key: rsa.RSAPrivateKey, uri: str) -> x509.Certificate:
    """Self-signed, as https://reference.opcfoundation.org/Core/Part6/v105/docs/6.2.2 asks."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fanwise bridge")])
    now = datetime.datetime.now(datetime.UTC)
    host = socket.gethostname()[:63] or "localhost"
    names = [x509.UniformResourceIdentifier(uri), x509.DNSName(host), x509.DNSName("localhost")]
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True,
        data_encipherment=True, key_agreement=False, key_cert_sign=True, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    part.replace(path)
