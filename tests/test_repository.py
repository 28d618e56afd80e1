"""The repository itself: what the papers promise is there, what belongs to one machine only is not."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from typed import dead_links

ROOT = Path(__file__).parent.parent
BINARY = {".png", ".ico", ".ttf", ".parley", ".parley-wal"}


def _tracked() -> list[str]:
    """Every file that git knows; without git (an unpacked archive) there is nothing to judge."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


TRACKED = _tracked()
TEXTS = [name for name in TRACKED if Path(name).suffix not in BINARY]
PAPERS = [name for name in TRACKED if name.endswith(".md")]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

# Written in two halves, so that this file doesn't find itself.
ONE_MACHINE_ONLY = re.compile(
    "|".join(["/" + r"work/\w", "/" + r"root/", "/" + r"home/\w+/", "/" + r"tmp/\w", r"BEGIN [A-Z ]*PRIVATE" + " KEY"])
)
REGISTRY = re.compile("|".join([r"py" + r"pi\.org", r"python" + r"hosted\.org", r"--" + r"(extra-)?index-url"]))


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_of_one_machine_is_in_the_repository(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert ONE_MACHINE_ONLY.findall(text) == []
    assert REGISTRY.findall(text) == []


@pytest.mark.parametrize("name", PAPERS)
def test_links_in_the_papers_lead_somewhere(name: str) -> None:
    assert dead_links(ROOT / name) == []


def test_the_map_in_the_readme_names_only_what_is_there() -> None:
    section = (ROOT / "README.md").read_text("utf-8").split("## The map", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"^(\S+) {2,}\S", section.split("```")[1], re.MULTILINE)
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_requirement_is_pinned_exactly() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()]
    pins = [line for line in lines if line]
    exact = re.compile(r'[A-Za-z0-9_.-]+==[0-9][\w.]*( ; (sys_platform|python_version) (==|!=|<) "[\w.]+")?')
    assert [pin for pin in pins if not exact.fullmatch(pin)] == []
    names = {pin.split("==")[0].lower() for pin in pins}
    assert {"pysimplegui", "rsa", "pytest"} <= names
    assert len(names) == len(pins)


def test_what_the_package_needs_is_among_the_pins() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    pinned = (ROOT / "requirements.txt").read_text("utf-8").lower()
    for need in [need for extra in extras.values() for need in extra]:
        assert f"\n{re.split('[<>=]', need)[0].lower()}==" in pinned


def test_the_changelog_begins_with_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    first = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert first is not None
    assert first[1] == VERSION


def test_the_licence_is_the_one_that_is_named() -> None:
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
