"""The laws of the architecture (CONTRIBUTING.md, "Where a thing goes"), held by looking at what every file imports.

What counts is every import statement in a file, also one inside a function: a law that can be stepped around isn't one.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from relay.keys import init_keys

ROOT = Path(__file__).parent.parent
PACKAGES = ("chatcore", "relay", "gui")
FRONT_DOORS = ("relay_server", "gui_client")

# The shells may know asyncio, threads, clocks and files.  What else is in `chatcore` is the core, but for the engines
# and for the word list, which a package keeps in a file.
SHELLS = (
    "chatcore.cable.",
    "chatcore.client.",
    "chatcore.dial.",
    "chatcore.doctor.",
    "chatcore.mover.",
    "chatcore.oskeyring.",
    "chatcore.ownfile.",
    "chatcore.profile.",
    "chatcore.proxyfile.",
    "chatcore.roomvault.",
    "chatcore.twofiles.",
    "chatcore.upkeep.",
    "chatcore.vault.",
    "chatcore.vaultfile.",
    "chatcore.visit.",
    "chatcore.worker.",
    "relay.",
    "gui.",
    *(f"{door}." for door in FRONT_DOORS),
)
WORD_LIST = "chatcore.wordlist."
ENGINES = "chatcore.engines."

# What the core may use of the standard library: nothing here reads a clock, a file, a socket or the system's dice.
HARMLESS = {
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "enum",
    "functools", "hashlib", "heapq", "hmac", "ipaddress", "itertools", "math", "operator", "re", "string",
    "struct", "typing", "unicodedata", "urllib.parse",
}  # fmt: skip
RSA_LIBRARIES = {"cryptography", "rsa", "Crypto", "Cryptodome", "nacl", "M2Crypto", "OpenSSL"}
WINDOW_LIBRARIES = {"PySimpleGUI", "FreeSimpleGUI"}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    _name(path): path
    for path in sorted([p for package in PACKAGES for p in (ROOT / package).rglob("*.py")] + list(ROOT.glob("*.py")))
}


def _imported_by(source: str, module: str, is_package: bool, running: bool = False) -> Iterator[str]:
    """Yield the full name of everything that `source` imports; for `from a import b` both `a` and `a.b`.

    `running` leaves out what is imported under `if TYPE_CHECKING:`, for the type checker alone.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if running and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                outer = here[: len(here) - node.level + is_package]
                base = ".".join([*outer, base] if base else outer)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _imports(module: str, running: bool = False) -> set[str]:
    path = FILES[module]
    return set(_imported_by(path.read_text("utf-8"), module, path.name == "__init__.py", running))


def _ours(imported: set[str]) -> set[str]:
    return imported & FILES.keys()


def _foreign(imported: set[str]) -> set[str]:
    return {name for name in imported if name.split(".")[0] not in {*PACKAGES, *FRONT_DOORS}}


def _under(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _is_a(module: str, kind: str | tuple[str, ...]) -> bool:
    return f"{module}.".startswith(kind)


CORE = [module for module in FILES if _is_a(module, "chatcore.") and not _is_a(module, (*SHELLS, ENGINES, WORD_LIST))]
RELAY = [module for module in FILES if _is_a(module, ("relay.", "relay_server."))]


# -- the looking itself ------------------------------------------------------------------------------------------------


def test_imports_are_seen_wherever_they_stand() -> None:
    source = """
import os.path as p
from chatcore import wire
if True:
    def f():
        from . import seal
        from .engines.openssl import OpenSSLEngine
        from .. import relay
"""
    assert set(_imported_by(source, "chatcore.room", is_package=False)) == {
        "os.path",
        "chatcore",
        "chatcore.wire",
        "chatcore.seal",
        "chatcore.engines.openssl",
        "chatcore.engines.openssl.OpenSSLEngine",
        "",
        ".relay",
    }
    assert set(_imported_by("from . import wire", "chatcore", is_package=True)) == {"chatcore", "chatcore.wire"}
    for_types = "import typing\nif typing.TYPE_CHECKING:\n    import gui"
    assert set(_imported_by(for_types, "chatcore", is_package=True)) == {"typing", "gui"}
    assert set(_imported_by(for_types, "chatcore", is_package=True, running=True)) == {"typing"}


def test_the_files_are_found() -> None:
    assert {"chatcore", "chatcore.wire", "chatcore.room"} <= set(CORE)
    assert {"relay.switch", "relay_server"} <= set(RELAY)
    assert {"chatcore.engines", "gui.psg"} <= FILES.keys()


# -- law 1: the core touches no socket, thread, clock or file ----------------------------------------------------------


@pytest.mark.parametrize("module", CORE)
def test_the_core_uses_only_what_is_harmless(module: str) -> None:
    foreign = _foreign(_imports(module))
    assert {name for name in foreign if not _under(name, HARMLESS)} == set()


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_only_the_core(module: str) -> None:
    allowed = {"chatcore.engines", *CORE}  # of the engines only what an engine has to be able to do
    assert _ours(_imports(module)) - allowed == set()


@pytest.mark.parametrize("module", CORE)
def test_the_core_opens_and_prints_nothing(module: str) -> None:
    tree = ast.parse(FILES[module].read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"} == set()


# -- law 2: each heavy library has one place ---------------------------------------------------------------------------


def _importers(roots: set[str]) -> set[str]:
    return {module for module in FILES if any(_under(name, roots) for name in _imports(module))}


def test_only_the_engines_import_an_rsa_library() -> None:
    elsewhere = {module for module in _importers(RSA_LIBRARIES) if not _is_a(module, ENGINES)}
    # relay.keys makes a relay's key and certificate once (see the test of the running relay); chatcore.twofiles opens a
    # file with a passphrase, chatcore.cable reads the key in a certificate; they take nothing else from that library.
    assert elsewhere <= {"relay.keys", "chatcore.twofiles", "chatcore.cable"}
    for module, parts in (
        ("chatcore.twofiles", {"cryptography.exceptions", "cryptography.hazmat.primitives.ciphers.aead"}),
        ("chatcore.cable", {"cryptography.x509", "cryptography.hazmat.primitives.serialization"}),
    ):
        taken = {name for name in _imports(module) if _under(name, RSA_LIBRARIES)} - {"cryptography"}
        assert all(_under(name, parts) for name in taken)


def test_only_the_shells_import_asyncio() -> None:
    assert {module for module in _importers({"asyncio", "uvloop"}) if not _is_a(module, SHELLS)} == set()


def test_only_one_module_imports_the_window_library() -> None:
    assert _importers(WINDOW_LIBRARIES) <= {"gui.psg"}


# -- law 3: what the relay can't read, it can't leak -------------------------------------------------------------------


@pytest.mark.parametrize("module", RELAY)
def test_the_relay_knows_frames_and_errors_and_nothing_else(module: str) -> None:
    known = {name for name in _ours(_imports(module)) if name not in RELAY}
    assert known <= {"chatcore", "chatcore.wire", "chatcore.errors"}


def test_a_running_relay_needs_no_cryptographic_library(tmp_path: Path) -> None:
    init_keys(tmp_path)
    program = """
import sys
from pathlib import Path
without, state = sys.argv[1].split(), Path(sys.argv[2])
sys.modules.update(dict.fromkeys(without))  # whoever imports one of these now gets an ImportError
import relay_server
from relay.embedded import EmbeddedRelay
relay = EmbeddedRelay(state)
relay.start()
assert relay.line.startswith("parley:relay/127.0.0.1:"), relay.line
relay.stop()
print(*(name for name, module in sys.modules.items() if module))
"""
    without = RSA_LIBRARIES | WINDOW_LIBRARIES | {"tkinter", "mnemonic", "PIL"}
    command = [sys.executable, "-c", program, " ".join(without), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    core = {name for name in done.stdout.split() if name.startswith("chatcore.")}
    assert core == {"chatcore.wire", "chatcore.errors"}


# -- law 4: imports point one way --------------------------------------------------------------------------------------


def _graph(running: bool) -> dict[str, set[str]]:
    # A package's own __init__ imports nothing of ours, and is imported by the way with each module: no edge to draw.
    return {module: _ours(_imports(module, running)) - {module, *PACKAGES} for module in FILES}


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(_graph(running=True)).prepare()
    except CycleError as circle:
        pytest.fail(f"imports go round: {' <- '.join(circle.args[1])}")


def test_the_packages_point_one_way() -> None:
    may_know = {
        "chatcore": {"chatcore"},
        "relay": {"relay", "chatcore"},
        "gui": {"gui", "chatcore", "relay"},
        "relay_server": {"relay", "chatcore"},
        "gui_client": {"gui", "chatcore", "relay"},
    }
    for module, known in _graph(running=False).items():
        here = module.split(".")[0]
        assert {name.split(".")[0] for name in known} <= may_know[here], module


def test_a_package_itself_imports_nothing() -> None:
    assert {package: _imports(package) for package in PACKAGES} == {package: set() for package in PACKAGES}
