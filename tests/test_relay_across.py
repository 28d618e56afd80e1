"""What crosses the engine: messages read back as they were written, everything else refused."""

from __future__ import annotations

import contextlib
import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import WireError
from relay import across
from relay.across import MAX_RECORDS, NAME, RECORD, About, Message, Subjects, digest_of, parse, token_of

BOOT = b"bootboot"
number = st.integers(0, 2**64 - 1)
boot = st.binary(min_size=8, max_size=8).filter(any)
record = st.builds(RECORD.pack, number, boot)
records = st.lists(record, max_size=40, unique=True).map(lambda found: tuple(sorted(found)))
messages = st.one_of(
    st.builds(Message, st.just(About.LIST), boot, number, come=records),
    st.builds(Message, st.just(About.CHANGE), boot, number, before=number, gone=records, come=records),
    st.builds(Message, st.just(About.BEAT), boot, number, digest=number),
    st.builds(Message, st.just(About.ASK), boot, number, whom=st.binary(min_size=8, max_size=8), anew=st.booleans()),
    st.builds(Message, st.sampled_from([About.HERE, About.BYE]), boot, number),
)


def some(count: int) -> tuple[bytes, ...]:
    return tuple(RECORD.pack(n, n.to_bytes(8)) for n in range(1, count + 1))


@given(messages)
def test_what_is_written_is_read_as_it_was(message: Message) -> None:
    assert parse(message.to_bytes()) == message


@given(st.binary(max_size=400))
def test_bytes_are_refused_or_are_the_one_form_of_what_they_say(data: bytes) -> None:
    try:
        message = parse(data)
    except WireError:
        return
    assert message.to_bytes() == data


@given(messages, st.data())
def test_a_changed_byte_is_refused_or_says_something_else(message: Message, data: st.DataObject) -> None:
    written = bytearray(message.to_bytes())
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(WireError):
        assert parse(bytes(written)) != message


@given(messages, st.integers(1, 15))
def test_what_is_cut_or_too_long_is_refused(message: Message, change: int) -> None:
    data = message.to_bytes()
    for wrong in (data[:-change], data + bytes(change)):
        with pytest.raises(WireError):
            parse(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        some(2)[::-1],
        some(1) * 2,
        (RECORD.pack(5, bytes(8)),),
        (some(1)[0] + b"x",),
        some(MAX_RECORDS + 1),
    ],
    ids=["order", "twice", "no address", "a rest", "too many"],
)
def test_records_are_in_their_order_once_each_and_not_too_many(wrong: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError):
        parse(Message(About.LIST, BOOT, 1, come=wrong).to_bytes())


def test_other_versions_kinds_and_nobody_are_refused() -> None:
    data = Message(About.HERE, BOOT).to_bytes()
    assert parse(data).boot == BOOT
    for wrong in (b"\2" + data[1:], data[:1] + b"\7" + data[2:], data[:1] + b"\0" + data[2:], data[:2] + bytes(16)):
        with pytest.raises(WireError):
            parse(wrong)


def test_the_longest_message_and_the_largest_batch_fit_into_what_the_engine_must_carry() -> None:
    longest = Message(About.LIST, BOOT, 2**64 - 1, come=some(MAX_RECORDS)).to_bytes()
    assert len(longest) == 18 + 16 * 2048
    change = Message(About.CHANGE, BOOT, 2, 1, gone=some(1024), come=some(1024)).to_bytes()
    assert max(len(longest), len(change), across.MAX_BLOCKS * across.BLOCK_BYTES) <= across.MAX_MESSAGE_BYTES


@given(st.lists(record, unique=True, max_size=12), st.data())
def test_a_digest_depends_on_what_is_there_and_not_on_how_it_came(found: list[bytes], data: st.DataObject) -> None:
    digest = digest_of(found)
    assert digest == digest_of(data.draw(st.permutations(found)))
    assert 0 <= digest < 2**64
    if found:
        assert digest ^ digest_of(found[:1]) == digest_of(found[1:])
        assert digest != digest_of(found[1:])


def test_a_message_shows_no_address() -> None:
    assert repr(Message(About.LIST, BOOT, 1, come=some(2))) == "Message(LIST)"


@given(st.binary(min_size=32, max_size=32))
def test_subjects_hold_nothing_that_an_engine_takes_for_something_else(room_id: bytes) -> None:
    token = token_of(room_id)
    assert re.fullmatch("[a-z2-7]{32}", token)
    subjects = Subjects("parley", "relay-1", "0f" * 8)
    for subject in (subjects.own_words(token), subjects.blocks("b", "00" * 8, token), subjects.own_heart):
        assert re.fullmatch(r"parley\.parley\.[chn](\.[a-z0-9-]+){1,3}", subject)
    assert subjects.room(token).removesuffix("*") == subjects.own_words(token).removesuffix("relay-1")
    assert subjects.own_blocks.removesuffix("*") == subjects.blocks("relay-1", "0f" * 8, token).removesuffix(token)


def test_a_name_is_one_word_of_a_subject() -> None:
    assert all(map(NAME.fullmatch, ("a", "relay-1", "x" * 32)))
    assert not any(map(NAME.fullmatch, ("", "-a", "a-", "A", "a.b", "a*", ">", "a b", "x" * 33, "ä", "a\n")))


def test_fields_that_do_not_count_are_not_written() -> None:
    plain = Message(About.BEAT, BOOT, 7, digest=9)
    assert dataclasses.replace(plain, come=some(3), before=4).to_bytes() == plain.to_bytes()
