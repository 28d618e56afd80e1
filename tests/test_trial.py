"""The trials in little: what takes seconds is tried with every `make test`, by number; `make trial` is all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial import load
from trials.adversary import Adversary
from trials.long import Plan, Trial
from trials.sheet import BEGIN, END, Entry, Sheet, merge, row, run
from trials.stage import Stage, share, wait

ENTRIES = load()
QUICK = [name for name, entry in ENTRIES.items() if not entry.slow]


@pytest.mark.parametrize("name", QUICK)
def test_it_holds(name: str, tmp_path: Path) -> None:
    sheet = run(ENTRIES[name], tmp_path)
    assert sheet.figures
    assert sheet.broken == []


@pytest.mark.timeout(120)
def test_attack_29_three_members_and_their_relay_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    trial = Trial(tmp_path, Plan(3, 30, 1, 3, 2, 1.0, seed=5))
    try:
        trial.begin()
        outcome = trial.run()
    finally:
        trial.end_all()
    assert outcome.wrong == []
    assert 10 <= outcome.said <= 30  # what was asked of somebody who died before committing it was never said
    assert (len(outcome.after_relay_s), len(outcome.after_member_s), outcome.offline) == (1, 3, 2)


# -- the tools themselves ----------------------------------------------------------------------------------------------


def test_a_bound_that_is_broken_is_seen() -> None:
    sheet = Sheet()
    sheet.note("as it is", 7)
    sheet.must("well", 3, 3)
    sheet.none("none", 0, 5)
    sheet.all("all", 5, 5)
    assert sheet.broken == []
    sheet.must("too much", 4, 3)
    sheet.must("too little", 1, 9, 2)
    sheet.none("some", 1)
    sheet.none("none of none", 0, 0)
    sheet.all("not all", 4, 5)
    assert len(sheet.broken) == 5
    assert sheet.figures[1] == "well 3"
    assert sheet.figures[4] == "too much 4 (**wanted 3**)"


def test_a_case_that_fails_on_its_way_has_not_held(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def case(sheet: Sheet, home: Path) -> None:
        sheet.note("before", 1)
        raise ValueError("a | b")

    entry = Entry("R1", "fails", case, False)
    sheet = run(entry, tmp_path)
    assert "Traceback" in capsys.readouterr().err
    assert sheet.broken == ["ended by ValueError: a | b"]
    assert (
        row(entry, sheet, "today") == "| **R1** | fails | before 1; **ended by ValueError: a / b** | **no** | today |"
    )


def test_new_rows_take_the_place_of_old_and_all_are_in_order() -> None:
    rows = {name: f"| **{name}** | what | then | yes | {name} |" for name in ("R10", "F2", "R3b", "R3", "LONG")}
    paper = merge(f"before\n{BEGIN}{END}\nafter\n", rows.values())
    paper = merge(paper, ["| **F2** | what | now | **no** | F2 |"])
    lines = paper.splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert lines[4:9] == [
        rows["R3"], rows["R3b"], rows["R10"], "| **F2** | what | now | **no** | F2 |", rows["LONG"]
    ]  # fmt: skip
    assert merge(paper, []) == paper


def test_a_share_of_a_row() -> None:
    assert [share([3, 1, 2], part) for part in (0, 0.5, 0.99, 1)] == [1, 2, 3, 3]


def test_the_adversary_can_also_be_a_relay(tmp_path: Path) -> None:
    with Adversary(tmp_path / "relay") as relay, Stage(tmp_path, ("alice", "bob"), relay.address) as stage:
        stage.start()
        stage["alice"].say("hello")
        stage.until_settled()
        assert stage["bob"].got() == ["hello"]
        assert len(relay.blocks("alice", "bob")) > 6
        stage["bob"].kill()
        wait(lambda: stage["alice"].here == 0, "she sees him go")
        assert sorted(relay.joins) == ["alice", "bob"]
