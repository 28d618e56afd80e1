"""The trial itself, in little: real programs, killed, and nothing lost.  `make trial` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial import Trial


@pytest.mark.timeout(120)
def test_three_members_and_their_relay_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    trial = Trial(tmp_path, 3, seed=5)
    try:
        outcome = trial.run(messages=30, relay_kills=1, member_kills=3)
    finally:
        trial.end_all()
    assert outcome.wrong == []
    assert 24 <= outcome.said <= 30  # what was asked of somebody who died before committing it was never said
    assert (len(outcome.after_relay_s), len(outcome.after_member_s)) == (1, 3)
