"""The certificate made anew while its key stays, and the spare key put into the key's place.

Clients know a relay by its key alone; a certificate of ours can be made anew by whoever has the key, at any time.
Each step replaces one file as a whole.  A relay that is ended between two of them starts all the same (`mend`), and
`rotate`, called again, goes on where it was.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from pathlib import Path

from chatcore.errors import ConfigError
from relay import config as configuration
from relay import keys
from relay.config import Config

DAY_S = 86_400
RENEW_S = 30 * DAY_S


def made_s() -> float:
    """Return when these files were made (POSIX seconds): a clock that says less is wrong."""
    with contextlib.suppress(OSError):  # they may be in no directory
        return Path(__file__).stat().st_mtime
    return 0.0


def is_due(config: Config, now_s: float) -> bool:
    """Tell whether the certificate is one of ours, and in its last month, or made while the clock was ahead.

    Raises ConfigError if it can't be read.
    """
    if config.certificate is None or config.key is None or config.behind_tls_terminator:
        return False
    if not keys.is_self_made(config.certificate):
        return False
    begin_s, end_s = keys.validity(config.certificate)
    # While the clock is behind, every certificate seems to be of the future; then it is left as it is.
    return end_s - now_s < RENEW_S or made_s() <= now_s < begin_s - DAY_S


def renew(config: Config) -> None:
    """Make the certificate anew for the same key.  Raises ConfigError with one sentence."""
    assert config.certificate is not None
    assert config.key is not None
    try:
        _, certificate = keys.make_key_and_certificate(config.key.read_bytes())
        keys.replace_file(config.certificate, certificate)
    except OSError as error:
        raise ConfigError(
            f"{config.certificate}: can't be made anew ({error.strerror}); see that the relay may write there."
        ) from None


def mend(config: Config, now_s: float) -> bool:
    """Make the certificate anew if it is due, gone, or ours and of another key; return whether it was made.

    What can't be mended is left: clients don't look at the date, and who uses the files says what is wrong with them.
    """
    try:
        if _is_of_no_use(config) or is_due(config, now_s):
            renew(config)
            return True
    except ConfigError:
        pass
    return False


def _is_of_no_use(config: Config) -> bool:
    """Tell whether there is a key without a certificate, or with one of ours that is another key's."""
    if config.certificate is None or config.key is None or config.behind_tls_terminator or not config.key.exists():
        return False
    if not config.certificate.exists():
        return True
    return keys.is_self_made(config.certificate) and not _belong(config.certificate, config.key)


def _belong(certificate: Path, key: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError):
        return False
    return True


def rotate(path: Path, spare: Path | None = None) -> Config:
    """Put the spare key into the place of the key, and a new spare key into its own; return the new configuration.

    `spare` is where the spare key is, if not beside the configuration.  Who has an invite that names both keys comes
    in as before.  Raises ConfigError with one sentence, and then nothing has changed that another call wouldn't mend.
    """
    config = configuration.load(path)
    if config.key is None or config.certificate is None or config.behind_tls_terminator or not config.spare_pin:
        raise ConfigError(f"{path}: names no spare key (spare_pin), so there is none to change over to.")
    home = path.parent / keys.SPARE_NAME
    try:
        mend(config, 0)
        if not config.certificate.exists() or keys.pin_of(config.certificate) != config.spare_pin:
            _take(spare or home, config, path)
        renew(config)
        key, certificate = keys.make_key_and_certificate()
        keys.replace_file(home, key, private=True)
        set_key(path, "spare_pin", keys.to_base64url(keys.pin_of_pem(certificate.decode("ascii"))))
    except OSError as error:
        raise ConfigError(
            f"{path.parent}: can't write here ({error.strerror}); make room or ask as root, and call `rotate` again."
        ) from None
    return configuration.load(path)


def _take(spare: Path, config: Config, path: Path) -> None:
    assert config.key is not None
    try:
        data = spare.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{spare}: can't be read ({error.strerror}); bring the spare key from where you keep it, and name it with "
            "--spare."
        ) from None
    _, certificate = keys.make_key_and_certificate(data)
    if keys.pin_of_pem(certificate.decode("ascii")) != config.spare_pin:
        raise ConfigError(f"{spare}: is not the key that spare_pin names, so invites out there don't know it.")
    keys.replace_file(config.key, data, private=True, like=path)  # who may read the one may read the other


def set_key(path: Path, key: str, value: str) -> None:
    """Write one text of [relay] anew in a configuration, and leave all else of the file as it is.

    Raises ConfigError when the file would not say that afterwards, and OSError when it can't be written.
    """
    configuration.load(path)
    text = path.read_text("utf-8")
    line = f'{key} = "{value}"'
    changed, count = re.subn(rf"^[ \t]*{key}[ \t]*=.*$", line, text, count=1, flags=re.MULTILINE)
    if not count:
        changed = re.sub(r"^[ \t]*\[relay\].*$", rf"\g<0>\n{line}", text, count=1, flags=re.MULTILINE)
    try:
        written = getattr(configuration.parse(path, changed), key)
    except ConfigError:
        written = ""
    if (keys.to_base64url(written) if isinstance(written, bytes) else written) != value:
        raise ConfigError(f"{path}: {key} can't be set there; write {line} into it by hand, under [relay].")
    keys.replace_file(path.resolve(), changed.encode())  # with the owner and mode it has
