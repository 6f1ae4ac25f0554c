"""The certificates of one plane: P-256, made in memory in milliseconds, valid for ten years."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as files and as what stands in them (PEM)."""

    certificate: Path
    key: Path

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.read_bytes()

    @property
    def key_pem(self) -> bytes:
        return self.key.read_bytes()


def new_signing_key(folder: Path, *, name: str) -> Pair:
    """A bare key pair: <name>.key, and <name>.pub in the certificate's place. For service account tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _saved(folder, name=name, certificate=public, key=key, suffix="pub")


class Authority:
    """A certificate authority that keeps its own and all it issues in one folder."""

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = self._builder(self._name, self._key.public_key()).add_extension(usage, critical=True)
        certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
            self._key, hashes.SHA256()
        )
        self.pair = _saved(folder, name=name, certificate=certificate.public_bytes(serialization.Encoding.PEM), key=self._key)

    def issue_client(self, name: str, *, user: str, group: str | None = None) -> Pair:
        """A certificate that says: this is `user`, of `group`. The API server takes both from it."""
        return self._issue(name, user=user, group=group, usage=ExtendedKeyUsageOID.CLIENT_AUTH, alternatives=())

    def issue_server(self, name: str, *, user: str, hosts: Sequence[str], group: str | None = None) -> Pair:
        """A certificate for a server that answers as any of `hosts` (names or addresses)."""
        return self._issue(
            name, user=user, group=group, usage=ExtendedKeyUsageOID.SERVER_AUTH, alternatives=[_host(host) for host in hosts]
        )

    def _issue(
        self, name: str, *, user: str, group: str | None, usage: x509.ObjectIdentifier, alternatives: Sequence[x509.GeneralName]
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        subject = x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        builder = self._builder(subject, key.public_key()).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return _saved(self._folder, name=name, certificate=certificate.public_bytes(serialization.Encoding.PEM), key=key)

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public)
        # an hour back, for machines whose clocks disagree a little
        return (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=3650))
        )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _saved(folder: Path, *, name: str, certificate: bytes, key: ec.EllipticCurvePrivateKey, suffix: str = "crt") -> Pair:
    pair = Pair(folder / f"{name}.{suffix}", folder / f"{name}.key")
    pair.certificate.write_bytes(certificate)
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return pair
