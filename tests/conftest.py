"""What holds for every test: trouble in the log fails it; no own profile is touched; Hypothesis has no deadline."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from backroom_help import Meet
    from screen import Screen

    from relay.embedded import EmbeddedRelay

# The machines that run this are shared: how long an example takes says nothing about the code.
settings.register_profile("ci", deadline=None, database=None)
settings.load_profile("ci")

pytest_plugins = ["pytester"]  # test_conftest.py runs a pytest of its own

TROUBLE = re.compile(r"^(?:(?:ERROR|CRITICAL)\s.*|Traceback \(most recent call last\):)", re.MULTILINE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    heard = {f"Captured log {report.when}", f"Captured stderr {report.when}"}  # of this phase; the sections pile up
    said = "\n".join(text for title, text in report.sections if title in heard)
    trouble = TROUBLE.search(said)
    if report.passed and trouble:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} passed, but said: {trouble[0]}"
    return report


@pytest.fixture
def screen() -> Generator[Screen]:
    """A display with the windows of one person."""
    from screen import Screen  # needs tkinter, which most tests don't

    made = Screen(dark=False)
    yield made
    made.windows.close()
    made.update()


@pytest.fixture
def relay(tmp_path: Path) -> Generator[EmbeddedRelay]:
    """A relay of this computer, which runs."""
    from relay.embedded import EmbeddedRelay

    made = EmbeddedRelay(tmp_path / "relay")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def meet(tmp_path: Path) -> Generator[Meet]:
    """What makes people with a backroom, each with a directory named after them; they are ended with the test."""
    from backroom_help import Somebody

    people: list[Somebody] = []

    def make(name: str) -> Somebody:
        people.append(Somebody(tmp_path / name))
        return people[-1]

    yield make
    for somebody in people:
        somebody.back.stop()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the client logs, kept out of the log of the test."""
    from chatcore import worker

    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    logger = logging.Logger("faults")
    logger.addHandler(Keep())
    monkeypatch.setattr(worker, "LOG", logger)
    return said


@pytest.fixture(scope="session", autouse=True)
def _nobodys_own_profile(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(variable, str(home))
        yield
