"""The relay's key, its certificate, and the line that people put into invites.

The certificate only carries the key: clients compare the SHA-256 of its SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) with
the pin in the invite and look at no name, date or issuer.  So it names nobody and lasts as long as the key.
Making a key needs the `cryptography` package or the openssl command; serving with it needs neither.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from chatcore.errors import ConfigError

KEY_NAME = "relay.key"
CERTIFICATE_NAME = "relay.crt"
VALID_DAYS = 36_500
PIN_SIZE = 32
_SUBJECT = "Parley relay"


def make_key_and_certificate() -> tuple[bytes, bytes]:
    """Return a new P-256 key (PKCS #8) and its self-signed certificate, both as PEM.

    Raises ConfigError when there is neither the `cryptography` package nor an openssl command.
    """
    try:
        return _make_with_library()
    except ImportError:
        command = shutil.which("openssl")
    if command is None:
        raise ConfigError(
            "making a key needs the openssl command or the Python package cryptography; install one of them, "
            "or make the key on another computer and copy the state directory."
        )
    return _make_with_command(command)


def _make_with_library() -> tuple[bytes, bytes]:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _SUBJECT)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))  # a client whose clock is behind
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(encoding)


def _make_with_command(command: str) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as place:  # 0700
        key, certificate = Path(place, "key"), Path(place, "crt")
        request = [command, "req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        request += ["-sha256", "-subj", f"/CN={_SUBJECT}", "-days", str(VALID_DAYS)]
        done = subprocess.run(  # noqa: S603 - a fixed command line
            [*request, "-keyout", str(key), "-out", str(certificate)], capture_output=True, check=False
        )
        if done.returncode:
            raise ConfigError("the openssl command could not make a key; try a newer OpenSSL (1.1.1 or later).")
        return key.read_bytes(), certificate.read_bytes()


def write_new_file(path: Path, data: bytes, *, private: bool) -> None:
    """Write a file that doesn't exist yet: whole or not at all, mode 0600 if private, else 0644.

    Raises FileExistsError if it does exist, OSError if it can't be written.
    """
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # made with 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if not private:
            temporary.chmod(0o644)
        os.link(temporary, path)  # unlike a rename, a link never replaces what is there
    finally:
        temporary.unlink()


def make_state_directory(state: Path) -> None:
    """Create the state directory, readable by its owner only.  Raises ConfigError when that isn't possible."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{state}: can't make this directory ({error.strerror}); choose another with `init --state`."
        ) from None


def init_keys(state: Path, beside: Mapping[str, bytes] | None = None) -> None:
    """Make key and certificate in the state directory, and other private files `beside` them: all or none.

    Raises ConfigError rather than replace a key or a certificate, and when they can't be written.
    """
    make_state_directory(state)
    for name in (KEY_NAME, CERTIFICATE_NAME):
        if (state / name).exists():
            raise ConfigError(
                f"{state / name} exists and is not replaced, because every invite out there names that key; "
                "choose another directory with `init --state`, or move the old files away first."
            )
    key, certificate = make_key_and_certificate()
    made: list[Path] = []
    try:
        for name, data in {KEY_NAME: key, CERTIFICATE_NAME: certificate, **(beside or {})}.items():
            write_new_file(state / name, data, private=name != CERTIFICATE_NAME)
            made.append(state / name)
    except OSError as error:
        for path in made:  # a key that no invite names yet; left here, it would be in the way of the next try
            path.unlink(missing_ok=True)
        raise ConfigError(
            f"{state}: can't write here ({error.strerror}); choose another directory with `init --state`."
        ) from None


def ensure_keys(state: Path) -> tuple[Path, Path]:
    """Return the paths of certificate and key, after making both if neither is there."""
    certificate, key = state / CERTIFICATE_NAME, state / KEY_NAME
    if not (certificate.exists() or key.exists()):
        init_keys(state)
    return certificate, key


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a TLS 1.3 server context.  Raises ConfigError naming the file that can't be used."""
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{path}: can't be read ({error.strerror}); make it with `init`, or let its owner run the relay."
            ) from None
    pin_of(certificate)  # names the file if it is that one
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # no resumption: a ticket is a name by which a client is known again
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError):
        raise ConfigError(
            f"{key}: is not the key of {certificate.name}, or one of the two is damaged or locked by a passphrase; "
            "restore both from your copy, or make new ones with `init` (old invites then end)."
        ) from None
    return context


def pin_of(certificate: Path) -> bytes:
    """Return SHA-256 of the SubjectPublicKeyInfo in a PEM certificate (32 bytes).  Raises ConfigError."""
    try:
        return pin_of_der(_der_of(certificate))
    except (ValueError, IndexError):
        raise _no_certificate(certificate) from None


def pin_of_der(der: bytes) -> bytes:
    """Return the same of a DER certificate.  Raises ValueError or IndexError when it is none."""
    start, end = _fields(der)[5]
    return hashlib.sha256(der[start:end]).digest()


def validity(certificate: Path) -> tuple[int, int]:
    """Return from when until when a PEM certificate holds, in seconds since 1970.  Raises ConfigError.

    Parley's clients look at neither; other programs that watch over certificates do.
    """
    try:
        der = _der_of(certificate)
        at, _ = _element(der, _fields(der)[3][0])
        return _time(der, at), _time(der, _element(der, at)[1])
    except (ValueError, IndexError):
        raise _no_certificate(certificate) from None


def _time(der: bytes, at: int) -> int:
    """Read a time as RFC 5280 (4.1.2.5) has it: UTCTime with two digits for the year, GeneralizedTime with four."""
    start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if der[at] == 0x17:
        text = ("20" if text < "50" else "19") + text
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))


def _der_of(certificate: Path) -> bytes:
    try:
        text = certificate.read_text("ascii")
    except OSError as error:
        raise ConfigError(f"{certificate}: can't be read ({error.strerror}); make it with `init`.") from None
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE-----") :].split("-----END")[0] + _PEM_END)


def _no_certificate(certificate: Path) -> ConfigError:
    return ConfigError(f"{certificate}: is not a PEM certificate; restore it from your copy.")


_PEM_END = "-----END CERTIFICATE-----\n"


def _element(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the DER element at `at` begins and ends (X.690, 8.1.3)."""
    size, at = der[at + 1], at + 2
    if size >= 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(der[at : at + count], "big"), at + count
    return at, at + size


def _fields(der: bytes) -> list[tuple[int, int]]:
    """Return where in a DER certificate these stand, headers included (RFC 5280, 4.1).

    Serial number, signature algorithm, issuer, validity, subject, SubjectPublicKeyInfo.
    """
    at, _ = _element(der, 0)  # Certificate
    at, _ = _element(der, at)  # its TBSCertificate
    if der[at] == 0xA0:  # the version, which only version 1 leaves out
        _, at = _element(der, at)
    fields = []
    for _ in range(6):
        start, (_, at) = at, _element(der, at)
        fields.append((start, at))
    if at > len(der):
        raise ValueError("cut short")
    return fields


def to_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 4648, 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Read base64url without padding.  Raises ValueError unless it is exactly what `to_base64url` writes."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if to_base64url(data) != text:
        raise ValueError("not base64url")
    return data


def relay_line(host: str, port: int, pins: tuple[bytes, ...], relay_pass: bytes = b"") -> str:
    """Return what people put into invites: `parley:relay/HOST:PORT/PIN[+PIN][/PASS]`, or `plain` for no pin."""
    if ":" in host:
        host = f"[{host}]"
    line = f"parley:relay/{host}:{port}/{'+'.join(map(to_base64url, pins)) or 'plain'}"
    return f"{line}/{to_base64url(relay_pass)}" if any(relay_pass) else line


def new_relay_pass() -> str:
    """Return a fresh relay pass as it stands in the configuration."""
    return to_base64url(secrets.token_bytes(PIN_SIZE))
