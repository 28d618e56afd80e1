"""Files that are one's own alone: looked at before they are used, put in place whole, wiped.  A shell."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from chatcore.errors import ProfileError

if sys.platform != "win32":
    import fcntl

BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_SCRATCH = ".profile-"  # begins the name of a file that isn't in its place yet
_WHOLE = ".whole"  # ends the name of a file that is to take the place of the one that is there
_BLOCK = 2**20
_HEAD = 4096
# What a stick or a share that knows no links says.
_NO_SYNC = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)  # where no better promise can be had
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)

NO_PROFILE = "There is no profile at {} yet. Make one, or choose another directory."
TAKEN = "There is a profile at {} already, and it was left as it is. Open it, or choose another directory."
LEFT_BESIDE = (
    "Beside the place of the profile lies {}, which belongs to one that isn't there any more. "
    "Move it along with that one, or delete it, then try again."
)
EXPOSED = "Others on this computer can get at the profile at {}. Make it yours alone (chmod 600), then try again."
NOT_A_FILE = "What is at {} is no file of its own but a link or a device. Put the profile itself there."
IN_USE = "Parley is open already with the profile at {}. Go on in that window, or choose another directory (--profile)."
DISK_FULL = "There is no room on the disk for the profile at {}. Nothing was lost; make room, then try again."
UNREADABLE = "The profile at {} can't be read ({}). See that it belongs to you, then try again."
UNWRITABLE = "The profile at {} can't be written ({}). Nothing was lost; choose a directory that is yours."


def check(path: Path) -> None:
    """See that a vault and what lies beside it are plain files of their owner's alone.  Raises ProfileError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        raise ProfileError(NO_PROFILE.format(path)) from None
    except OSError as error:
        raise ProfileError(UNREADABLE.format(path, error.strerror)) from None
    _check(path, status)
    for end in BESIDE:
        beside = path.with_name(path.name + end)
        with contextlib.suppress(FileNotFoundError):
            _check(beside, os.lstat(beside))


def check_vacant(path: Path) -> None:
    """See that there is no vault yet, nor what would be read into a new one.  Raises ProfileError.

    What SQLite kept beside a file that was moved away is taken for part of whatever has its name; so it is neither
    used nor thrown away here.
    """
    if os.path.lexists(path):
        raise ProfileError(TAKEN.format(path))
    for end in ("-wal", "-journal", _WHOLE):
        left = path.with_name(path.name + end)
        with contextlib.suppress(OSError):
            if os.lstat(left).st_size or end == _WHOLE:
                raise ProfileError(LEFT_BESIDE.format(left))


def _check(path: Path, status: os.stat_result, *, others: bool = False) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ProfileError(NOT_A_FILE.format(path))
    if os.name == "posix" and status.st_mode & 0o077 and not others:
        raise ProfileError(EXPOSED.format(path))


def read(path: Path, most_bytes: int | None = None, *, others: bool = False) -> bytes:
    """Read a file of one's own, not through a link, and never held up by a pipe.  Raises ProfileError.

    `others`: it doesn't matter who else can read it, as on a stick that knows no owners.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
        with os.fdopen(handle, "rb") as file:
            _check(path, os.fstat(handle), others=others)
            return file.read(-1 if most_bytes is None else most_bytes)
    except FileNotFoundError:
        raise ProfileError(NO_PROFILE.format(path)) from None
    except OSError as error:
        sentence = NOT_A_FILE if error.errno == errno.ELOOP else UNREADABLE
        raise ProfileError(sentence.format(path, error.strerror)) from None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the disk says while something is written into one sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ProfileError((DISK_FULL if full else UNWRITABLE).format(path, error.strerror)) from None


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Give a new empty file beside `path`, 0600 in a directory that is made 0700; it is gone afterwards.

    What came to nothing is overwritten; what has its place by then isn't touched.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_SCRATCH, dir=path.parent)
    os.close(handle)
    parts = [Path(name + end) for end in ("", *BESIDE, _WHOLE)]
    try:
        yield parts[0]
    except BaseException:
        for part in parts:
            with contextlib.suppress(OSError):
                wipe(part)
        raise
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                os.unlink(part)


def put(new: Path, path: Path, *, replace: bool) -> None:
    """Give a whole file its name, durably, all or nothing.  Raises ProfileError if there is one it may not replace."""
    sync(new)
    if replace:
        os.replace(new, path.with_name(path.name + _WHOLE))
        sync_directory(path.parent)
        finish(path)
        return
    try:
        (os.link if os.name == "posix" else os.rename)(new, path)  # neither replaces what is there
    except FileExistsError:
        raise ProfileError(TAKEN.format(path)) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise ProfileError(TAKEN.format(path)) from None
        os.rename(new, path)
    with contextlib.suppress(OSError):
        os.unlink(new)  # it is the same file: nobody may take it for one that came to nothing
    sync_directory(path.parent)


def put_back(path: Path, data: bytes) -> None:
    """Write what was there before SQLite took it away, as far as that can be done."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            _sync(handle)


def keep_text(path: Path, text: str) -> None:
    """Keep some words of ASCII in a file, all of them or what it held before; if there are none, none.

    Raises ProfileError.
    """
    with explained(path):
        if not text:
            wipe(path)
            return
        with scratch(path) as new:
            new.write_text(text, "ascii")
            sync(new)
            os.replace(new, path)
        sync_directory(path.parent)


def finish(path: Path) -> None:
    """Put a file in the place of another; the next start does it if this one is killed.  Raises ProfileError.

    The new one is safe on the disk, under a name of its own, and takes the place of the old one last of all: what is
    overwritten here nobody needs any more, and for as long as it isn't, it has a name by which it is found.  It may
    have lain open to everybody what is sealed by now.  What SQLite kept beside the old one goes first: read together
    with the new one it would spoil it.  No links, no open files that lose their names: every file system can do this.
    """
    whole = path.with_name(path.name + _WHOLE)
    if not os.path.lexists(whole):
        return
    _check(whole, os.lstat(whole))
    with explained(path):
        beside = [path.with_name(path.name + end) for end in BESIDE]
        with contextlib.ExitStack() as stack:
            old = [stack.enter_context(file) for one in (path, *beside) if (file := _about_to_go(one)) is not None]
            if not os.path.lexists(whole):
                return  # another window was faster: what is open here may be the new one
            for file in old:
                with contextlib.suppress(OSError):
                    _blank(file)
        for one in beside:
            one.unlink(missing_ok=True)
        os.replace(whole, path)
        sync_directory(path.parent)


def _about_to_go(path: Path) -> BinaryIO | None:
    """Open a file that is to be overwritten; None where it isn't one's own, or can't be."""
    try:
        return open(path, "rb+", buffering=0) if _is_own(path) else None
    except OSError:
        return None


def clear_scratch(directory: Path) -> None:
    """Wipe what a program that was killed had not yet put in its place.  Call it only while the directory is held."""
    with contextlib.suppress(OSError):
        for left in directory.glob(f"{_SCRATCH}*"):
            wipe(left)


def wipe(path: Path) -> None:
    """Overwrite a file and take it off the disk; one that isn't there is fine.  On flash, traces may stay.

    Raises OSError.  A link is taken away, what it leads to is left alone.
    """
    with contextlib.suppress(FileNotFoundError):
        if _is_own(path):
            blank(path)
        os.unlink(path)


def _is_own(path: Path) -> bool:
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def blank(path: Path) -> None:
    """Overwrite a file with zeros where it stands.  Raises OSError.

    Its head is on the disk first: a log of which only the rest were left would be taken for one that ends early.
    """
    with open(path, "rb+") as file:
        _blank(file)


def _blank(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    for at in (0, *range(_HEAD, size, _BLOCK)):
        file.write(bytes(min(_BLOCK if at else _HEAD, size - at)))
        if not at:
            file.flush()
            _sync(file.fileno())
    file.flush()
    _sync(file.fileno())


def erase_directory(directory: Path, *within: str) -> None:
    """Wipe all files of these directories in a directory, and take them away, and itself if nothing else is in it.

    Raises ProfileError.
    """
    with explained(directory):
        for name in within:
            for path in sorted((directory / name).rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                else:
                    wipe(path)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                (directory / name).rmdir()
        with contextlib.suppress(OSError):
            directory.rmdir()


def sync(path: Path) -> None:
    """Have a file survive a power cut.  Raises OSError."""
    with open(path, "rb+") as file:
        _sync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Have a new name survive a power cut, where directories can be synced."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            _sync(handle)
        finally:
            os.close(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def hold(directory: Path, name: str) -> Callable[[], None]:
    """Have a directory for this window, until what is returned is called or the program has ended.

    Raises ProfileError when another has it; `name` is that of the file in it.  Where directories can't be locked
    (Windows, some networks) everybody gets it; still no two windows have one vault.
    """
    if sys.platform == "win32":
        return lambda: None
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # reading or writing will say it better
        return lambda: None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ProfileError(IN_USE.format(directory / name)) from None
    except OSError:
        pass
    return lambda: os.close(handle)
