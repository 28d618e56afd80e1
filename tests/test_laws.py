"""The laws of the architecture (README.md, "The map"), held by looking at what every file imports.

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

ROOT = Path(__file__).parent.parent
PACKAGES = ("chatcore", "relay", "gui")
FRONT_DOORS = ("relay_server", "gui_client")

CORE = ("errors", "wire", "events", "clock", "seal", "invite", "link", "members", "delivery", "room", "words")
SHELLS = ("chatcore.client", "relay.", "gui.", *FRONT_DOORS)  # may know asyncio, threads, clocks and files

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


def _imported_by(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Yield the full name of everything that `source` imports; for `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(source)):
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


def _imports(module: str) -> set[str]:
    path = FILES[module]
    return set(_imported_by(path.read_text("utf-8"), module, path.name == "__init__.py"))


def _ours(imported: set[str]) -> set[str]:
    return imported & FILES.keys()


def _foreign(imported: set[str]) -> set[str]:
    return {name for name in imported if name.split(".")[0] not in {*PACKAGES, *FRONT_DOORS}}


def _under(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _core() -> list[str]:
    return [f"chatcore.{name}" for name in CORE if f"chatcore.{name}" in FILES]


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


def test_the_files_are_found() -> None:
    assert {"chatcore", "chatcore.wire", "chatcore.errors", "chatcore.engines"} <= FILES.keys()


# -- law 1: the core touches no socket, thread, clock or file ----------------------------------------------------------


@pytest.mark.parametrize("module", _core())
def test_the_core_uses_only_what_is_harmless(module: str) -> None:
    foreign = _foreign(_imports(module))
    assert {name for name in foreign if not _under(name, HARMLESS)} == set()


@pytest.mark.parametrize("module", _core())
def test_the_core_imports_only_the_core(module: str) -> None:
    allowed = {"chatcore", "chatcore.engines", *_core()}
    assert _ours(_imports(module)) - allowed == set()


@pytest.mark.parametrize("module", _core())
def test_the_core_opens_and_prints_nothing(module: str) -> None:
    tree = ast.parse(FILES[module].read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"} == set()


# -- law 2: each heavy library has one place ---------------------------------------------------------------------------


def _importers(roots: set[str]) -> set[str]:
    return {module for module in FILES if any(_under(name, roots) for name in _imports(module))}


def test_only_the_engines_import_an_rsa_library() -> None:
    assert {m for m in _importers(RSA_LIBRARIES) if not m.startswith("chatcore.engines.")} == set()


def test_only_the_shells_import_asyncio() -> None:
    assert {m for m in _importers({"asyncio", "uvloop"}) if not f"{m}.".startswith(SHELLS)} == set()


def test_only_one_module_imports_the_window_library() -> None:
    assert _importers(WINDOW_LIBRARIES) <= {"gui.psg"}


# -- law 3: what the relay can't read, it can't leak -------------------------------------------------------------------

RELAY = sorted(module for module in FILES if f"{module}.".startswith(("relay.", "relay_server.")))


@pytest.mark.parametrize("module", RELAY)
def test_the_relay_knows_frames_and_errors_and_nothing_else(module: str) -> None:
    known = {name for name in _ours(_imports(module)) if name not in RELAY}
    assert known <= {"chatcore", "chatcore.wire", "chatcore.errors"}


def test_a_relay_host_needs_no_cryptographic_library() -> None:
    program = f"import sys\nfor name in {RELAY!r}: __import__(name)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert {"chatcore.wire", "chatcore.errors"} <= loaded
    assert {name for name in loaded if name.split(".")[0] in RSA_LIBRARIES | WINDOW_LIBRARIES | {"tkinter"}} == set()
    assert {name for name in loaded if name.startswith("chatcore.")} == {"chatcore.wire", "chatcore.errors"}


# -- law 4: imports point one way --------------------------------------------------------------------------------------


def _graph() -> dict[str, set[str]]:
    # `chatcore` itself imports nothing and is imported by the way with each of its modules: no edge worth drawing.
    return {module: _ours(_imports(module)) - {module, *PACKAGES} for module in FILES}


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(_graph()).prepare()
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
    for module, known in _graph().items():
        here = module.split(".")[0]
        assert {name.split(".")[0] for name in known} <= may_know[here], module


def test_the_package_that_both_sides_share_imports_nothing() -> None:
    assert _imports("chatcore") == set()
