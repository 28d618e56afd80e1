"""Inputs that were once wrong, or that anybody would try: each still comes to what is written beside it."""

from __future__ import annotations

import pytest
from corpus import Entry, entries, parse
from targets import TARGETS

CASES = [(target, entry) for target in TARGETS for entry in entries(target)]


@pytest.mark.parametrize(("target", "entry"), CASES, ids=[f"{target}-{entry.name}" for target, entry in CASES])
def test_an_input_comes_to_what_is_kept(target: str, entry: Entry) -> None:
    assert TARGETS[target](entry.data) == entry.expect


def test_there_is_a_corpus_for_each_target_and_no_name_stands_twice() -> None:
    assert len(CASES) >= 100
    assert {target for target, _ in CASES} == set(TARGETS)
    assert len({(target, entry.name) for target, entry in CASES}) == len(CASES)


def test_how_an_input_is_written() -> None:
    assert parse('0105*2 "a\\n"*2 00*3') == b"\1\5\1\5a\na\n\0\0\0"
    for wrong in ("0", "xy", '"open', "00**2", "-"):
        with pytest.raises(ValueError):  # noqa: PT011 - of json, of hexadecimal, or our own
            parse(wrong)
