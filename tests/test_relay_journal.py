"""The log: one line for a word, with a mood; for people, for programs, and for the system's journal."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay_help import DEADLINE_S, Process

from relay import config as configuration
from relay import journal
from relay.journal import MOODS, REPEAT_S, Journal
from relay.system import notify_service_manager


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def talk() -> None:
    """Say all that a journal can say."""
    told = Journal()
    told.note("listening")
    for _ in range(41):
        told.note("laggard")
    told.say("reload refused, and all stays as it was: because.", "reload_refused")
    told.say("a remark.")
    try:
        raise KeyError("secret")
    except KeyError as error:
        told.fault(error)
    told.fault(None)
    for _ in range(REPEAT_S):
        told.beat()
    assert told.totals == {"listening": 1, "laggard": 41, "reload_refused": 1, "fault": 2}


def test_for_people_each_line_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    journal.to_stderr("info")
    talk()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:4] == [
        "parley-relay: listening",
        "parley-relay: laggard",
        "parley-relay: reload refused, and all stays as it was: because.",
        "parley-relay: a remark.",
    ]
    assert lines[4].startswith("parley-relay: fault KeyError test_relay_journal.py:")
    assert lines[5:] == ["parley-relay: fault", "parley-relay: laggard x40"]


def test_for_programs_each_line_is_an_object_with_its_mood(capsys: pytest.CaptureFixture[str]) -> None:
    journal.to_stderr("info", "json")
    talk()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line.pop("program") for line in lines} == {"parley-relay"}
    assert [line["mood"] for line in lines] == ["calm", "busy", "hurt", "calm", "hurt", "hurt", "busy"]
    assert lines[1] == {"mood": "busy", "said": "laggard"}
    assert lines[-1] == {"mood": "busy", "said": "laggard", "count": 40}
    assert lines[3] == {"mood": "calm", "said": "a remark."}


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_journal_of_the_system_gets_a_priority(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    place = os.fstat(2)
    with open(2, "w", closefd=False) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setenv("JOURNAL_STREAM", f"{place.st_dev}:{place.st_ino}")
        journal.to_stderr("info", form)
        for word in ("listening", "crowd", "exhausted"):
            Journal().note(word)
        stderr.flush()
        monkeypatch.setenv("JOURNAL_STREAM", f"{place.st_dev}:{place.st_ino + 1}")
        journal.to_stderr("info", form)
        Journal().note("listening")
    lines = capfd.readouterr().err.splitlines()
    assert [line[:3] for line in lines[:3]] == ["<6>", "<5>", "<3>"]
    assert lines[3][:1] in "p{"


def test_what_asyncio_has_to_say_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    journal.to_stderr("info", "json")
    journal.quiet_asyncio()
    before = Journal().total("loop")
    logging.getLogger("asyncio").error("socket %s", ("192.0.2.1", 5), exc_info=ValueError("secret"))
    assert json.loads(capsys.readouterr().err) == {"program": "parley-relay", "mood": "hurt", "said": "loop"}
    assert Journal().total("loop") == before + 1


def test_there_are_three_moods() -> None:
    assert set(MOODS.values()) == {"calm", "busy", "hurt"}


def test_a_relay_logs_as_its_configuration_says(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    path.write_text(path.read_text().replace('# log_format = "text"', 'log_format = "json"'))
    with Process(tmp_path, "--config", str(path), "--port", "0") as process:
        _, _, err = process.end()
    assert [json.loads(line)["said"] for line in err.splitlines()] == ["listening", "stopping", "stopped"]


def test_a_service_manager_that_takes_nothing_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr("relay.system.MANAGER_S", 0.001)
        for _ in range(1100):  # far more than its queue holds
            notify_service_manager("WATCHDOG=1")
        assert manager.recv(100) == b"WATCHDOG=1"
    notify_service_manager("WATCHDOG=1")  # and when it is gone
