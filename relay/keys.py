"""The relay's key, its certificate, and the line that people put into invites.

The certificate only carries the key: clients compare the SHA-256 of its SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) with
the pin in the invite and look at no name, date or issuer.  So it names nobody, and a new one for the same key is as
good (`relay.renewal` makes it in the last month of the old one, for programs that do look).
Making a key needs the `cryptography` package or the openssl command; serving with it needs neither.
"""

from __future__ import annotations

import base64
import calendar
import contextlib
import hashlib
import os
import secrets
import shutil
import ssl
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from chatcore.errors import ConfigError

KEY_NAME = "relay.key"
CERTIFICATE_NAME = "relay.crt"
SPARE_NAME = "spare.key"
VALID_DAYS = 365
PIN_SIZE = 32
SUBJECT = "Parley relay"
NO_KEY = "the key is no private key that can be used, or it is locked by a passphrase; restore it from your copy."
NO_COMMAND = "the openssl command could not make a key; try a newer OpenSSL (1.1.1 or later)."


def make_key_and_certificate(key: bytes | None = None) -> tuple[bytes, bytes]:
    """Return a P-256 key (PKCS #8) and a new self-signed certificate for it, both as PEM; without `key` a new one.

    Raises ConfigError when there is neither the `cryptography` package nor an openssl command, and for another key.
    """
    try:
        return _make_with_library(key)
    except ImportError:
        command = shutil.which("openssl")
    if command is None:
        raise ConfigError(
            "making a key or a certificate needs the openssl command or the Python package cryptography; install one "
            "of them, or make it on another computer and copy the state directory."
        )
    return _make_with_command(command, key)


def _make_with_library(known: bytes | None = None) -> tuple[bytes, bytes]:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = (
            serialization.load_pem_private_key(known, None)
            if known is not None
            else ec.generate_private_key(ec.SECP256R1())
        )
    except (ValueError, TypeError):
        raise ConfigError(NO_KEY) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(NO_KEY)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SUBJECT)])
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
    return private if known is None else known, certificate.public_bytes(encoding)


def _make_with_command(command: str, known: bytes | None = None) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as place:  # 0700
        key, certificate = Path(place, "key"), Path(place, "crt")
        request = [command, "req", "-x509", "-new", "-sha256", "-subj", f"/CN={SUBJECT}", "-days", str(VALID_DAYS)]
        if known is not None:
            key.write_bytes(known)
            request += ["-key", str(key), "-passin", "pass:", "-out", str(certificate)]
        else:
            request += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            request += ["-keyout", str(key), "-out", str(certificate)]
        done = subprocess.run(request, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            raise ConfigError(NO_COMMAND if known is None else NO_KEY)
        return key.read_bytes(), certificate.read_bytes()


def write_new_file(path: Path, data: bytes, *, private: bool) -> None:
    """Write a file that doesn't exist yet: whole or not at all, mode 0600 if private, else 0644.

    Raises FileExistsError if it does exist, OSError if it can't be written.
    """
    temporary = _written(path, data)  # made with 0600
    try:
        if not private:
            temporary.chmod(0o644)
        os.link(temporary, path)  # unlike a rename, a link never replaces what is there
    finally:
        temporary.unlink()


def replace_file(path: Path, data: bytes, *, private: bool = False, like: Path | None = None) -> None:
    """Put a file into the place of one, whole or not at all: with its owner and mode, or those of `like`.

    What is private is never for everybody, whatever that one was.  Where there is none, it is as `write_new_file` makes
    it.  Raises OSError if it can't be written.
    """
    temporary = _written(path, data)
    try:
        temporary.chmod(0o600 if private else 0o644)
        model = path if like is None or path.exists() else like
        with contextlib.suppress(FileNotFoundError):
            before = model.stat()
            if hasattr(os, "geteuid") and os.geteuid() == 0:
                os.chown(temporary, before.st_uid, before.st_gid)
            temporary.chmod(stat.S_IMODE(before.st_mode) & (0o660 if private else 0o777))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _written(path: Path, data: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def make_state_directory(state: Path) -> None:
    """Create the state directory, readable by its owner only.  Raises ConfigError when that isn't possible."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{state}: can't make this directory ({error.strerror}); choose another with `init --state`."
        ) from None


def init_keys(state: Path, beside: Mapping[str, bytes] | None = None, certificate: Path | None = None) -> None:
    """Make key and certificate in the state directory, and other private files `beside` them: all or none.

    `certificate` is where the certificate goes, if not there.
    Raises ConfigError rather than replace a key or a certificate, and when they can't be written.
    """
    make_state_directory(state)
    key, certificate = state / KEY_NAME, certificate or state / CERTIFICATE_NAME
    for path in (key, certificate):
        if path.exists():
            raise ConfigError(
                f"{path} exists and is not replaced, because every invite out there names that key; "
                "choose another directory with `init --state`, or move the old files away first."
            )
    key_data, certificate_data = make_key_and_certificate()
    files = {key: key_data, certificate: certificate_data} | {state / n: data for n, data in (beside or {}).items()}
    made: list[Path] = []
    try:
        for path, data in files.items():
            write_new_file(path, data, private=path != certificate)
            made.append(path)
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


def pin_of_pem(text: str) -> bytes:
    """Return the same of the text of a PEM certificate.  Raises ValueError or IndexError when it is none."""
    return pin_of_der(_der_in(text))


def pin_of_der(der: bytes) -> bytes:
    """Return the same of a DER certificate.  Raises ValueError or IndexError when it is none."""
    start, end = _fields(der)[5]
    return hashlib.sha256(der[start:end]).digest()


def is_self_made(certificate: Path) -> bool:
    """Tell whether a PEM certificate is one that `make_key_and_certificate` made.  Raises ConfigError."""
    try:
        der = _der_of(certificate)
        _, _, issuer, _, subject, _ = (der[start:end] for start, end in _fields(der))
    except (ValueError, IndexError):
        raise _no_certificate(certificate) from None
    return issuer == subject and subject.endswith(SUBJECT.encode())


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
    return _der_in(text)


def _der_in(text: str) -> bytes:
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
