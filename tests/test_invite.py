"""Invites and relay lines: what a mail program may do to them, what it may not, and the sentence for each.

Attack 47: another owner, mode or epoch is another room.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import string
import textwrap
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatcore import invite as module
from chatcore.errors import InviteError
from chatcore.invite import (
    ALTERED,
    BAD_HOST,
    BAD_PORT,
    CUT_SHORT,
    INVITE_INSTEAD,
    MAX_TRIES,
    NOT_A_RELAY,
    NOT_AN_INVITE,
    OTHER_VERSION,
    PLAIN_ELSEWHERE,
    RELAY_ALTERED,
    RELAY_CUT_SHORT,
    RELAY_INSTEAD,
    RELAY_TOO_MUCH_TEXT,
    TITLE_TOO_LONG,
    TITLE_UNSAFE,
    TOO_MUCH_TEXT,
    Invite,
    Mode,
    RelayAddress,
    new_invite,
)

PIN, SPARE, PASS = bytes(range(32)), bytes(range(100, 132)), bytes(range(200, 232))
RELAY = RelayAddress("chat.example.org", 7256, (PIN,))
SECRET, OWNER = bytes(range(50, 82)), bytes(range(150, 182))
INVITE = new_invite(OWNER, Mode.ASK, RELAY, "Cabin weekend", secret=SECRET)
TEXT = INVITE.to_text()
PREFIX = len("parley:join/")
BASE64 = string.ascii_letters + string.digits + "-_"

SENTENCES = {
    value
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str) and not name.startswith("_")
}

hosts = st.sampled_from(
    ["chat.example.org", "localhost", "127.0.0.1", "192.0.2.7", "::1", "2001:db8::7", "a", "my_relay"]
)
keys = st.binary(min_size=32, max_size=32)
relays = st.builds(
    RelayAddress,
    hosts,
    st.integers(1, 65535),
    st.lists(keys, min_size=1, max_size=2).map(tuple),
    st.one_of(st.just(b""), keys),
)
titles = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]) | st.just("\u200d"), max_size=16
).filter(lambda title: len(title.encode()) <= 64)
invites = st.builds(Invite, keys, keys, st.integers(0, 2**32 - 1), st.sampled_from(Mode), relays, titles)


def _sentence(text: str) -> str:
    """The sentence for a text that is no good; the paste itself is never in it."""
    with pytest.raises(InviteError) as caught:
        Invite.parse(text)
    sentence = str(caught.value)
    assert sentence in SENTENCES
    return sentence


def _relay_sentence(text: str) -> str:
    with pytest.raises(InviteError) as caught:
        RelayAddress.parse(text)
    sentence = str(caught.value)
    assert sentence in SENTENCES
    return sentence


# -- there and back ----------------------------------------------------------------------------------------------------


@given(invites)
def test_an_invite_comes_back(invite: Invite) -> None:
    assert Invite.parse(invite.to_text()) == invite


@given(relays)
def test_a_relay_line_comes_back(relay: RelayAddress) -> None:
    assert RelayAddress.parse(relay.to_text()) == relay


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1"])
def test_a_relay_on_this_computer_needs_no_pin(host: str) -> None:
    relay = RelayAddress(host, 7256)
    assert relay.to_text().endswith(":7256/plain")
    assert RelayAddress.parse(relay.to_text()) == relay
    invite = new_invite(OWNER, Mode.OPEN, relay, "", secret=SECRET)
    assert Invite.parse(invite.to_text()) == invite
    with_pass = RelayAddress(host, 7256, (), PASS)
    assert RelayAddress.parse(with_pass.to_text()) == with_pass


def test_the_lines_look_as_the_specification_says() -> None:
    assert RELAY.to_text() == "parley:relay/chat.example.org:7256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    both = RelayAddress("2001:db8::7", 1, (PIN, SPARE), PASS)
    encoded = [base64.urlsafe_b64encode(key).decode().rstrip("=") for key in (PIN, SPARE, PASS)]
    assert both.to_text() == "parley:relay/[2001:db8::7]:1/{}+{}/{}".format(*encoded)
    assert re.fullmatch(r"parley:join/chat\.example\.org:7256/[A-Za-z0-9_-]+", TEXT)


def test_a_title_is_tidied_when_a_room_is_made() -> None:
    assert new_invite(OWNER, Mode.OPEN, RELAY, "  Cabin \n weekend ", secret=SECRET).title == "Cabin weekend"
    assert new_invite(OWNER, Mode.OPEN, RELAY, "", secret=SECRET).title == ""


def test_a_new_room_is_in_its_first_epoch() -> None:
    assert INVITE.epoch == 0


# -- what an invite gives ----------------------------------------------------------------------------------------------


def test_room_id_and_key_are_32_bytes_and_differ() -> None:
    assert len(INVITE.room_id) == len(INVITE.room_key) == 32
    assert INVITE.room_id != INVITE.room_key


def test_attack_47_secret_owner_epoch_and_mode_each_make_another_room() -> None:
    variants = [
        INVITE,
        Invite(bytes(32), OWNER, 0, Mode.ASK, RELAY, "Cabin weekend"),
        Invite(SECRET, bytes(32), 0, Mode.ASK, RELAY, "Cabin weekend"),
        Invite(SECRET, OWNER, 1, Mode.ASK, RELAY, "Cabin weekend"),
        Invite(SECRET, OWNER, 0, Mode.OPEN, RELAY, "Cabin weekend"),
    ]
    assert len({invite.room_id for invite in variants}) == len(variants)
    assert len({invite.room_key for invite in variants}) == len(variants)


def test_relay_and_title_are_not_part_of_the_room() -> None:
    moved = Invite(SECRET, OWNER, 0, Mode.ASK, RelayAddress("elsewhere.example", 1, (SPARE,), PASS), "New name")
    assert (moved.room_id, moved.room_key) == (INVITE.room_id, INVITE.room_key)


def test_no_repr_shows_a_secret_or_an_address() -> None:
    relay = RelayAddress("chat.example.org", 7256, (PIN,), PASS)
    invite = new_invite(OWNER, Mode.ASK, relay, "Cabin weekend", secret=SECRET)
    for shown in (repr(invite), str(invite), f"{invite}", repr(relay), repr([invite, relay])):
        assert len(shown) < 80
        for hidden in ("chat.example", "7256", "Cabin", repr(SECRET)[2:12], repr(PASS)[2:12], SECRET.hex()[:8]):
            assert hidden not in shown


# -- what a mail program may do to it ----------------------------------------------------------------------------------


def _quoted(text: str, mark: str) -> str:
    return "\n".join(mark + line for line in text.splitlines())


MAIL = f"Hi Bob,\n\nhere is the room: {TEXT}\n\nSee you there,\nAlice\n"
PASTES = {
    "as it is": TEXT,
    "spaces around": f"  \t{TEXT} \r\n\r\n",
    "a full stop behind it": f"Here: {TEXT}. See you!",
    "angle brackets": f"<{TEXT}>",
    "brackets": f"(the room: {TEXT})",
    "quotation marks": f"\u201c{TEXT}\u201d",
    "Markdown": f"[Join]({TEXT}) the room",
    "a whole mail": MAIL,
    "a mail with Windows line ends": MAIL.replace("\n", "\r\n"),
    "quoted": _quoted(MAIL, "> "),
    "quoted three times": _quoted(MAIL, "> > >"),
    "quoted without a space": _quoted(MAIL, ">"),
    "wrapped": "\n".join(textwrap.wrap(TEXT, 60)),
    "wrapped and indented": "\n    ".join(textwrap.wrap(TEXT, 40)),
    "wrapped and quoted": _quoted("\n".join(textwrap.wrap(TEXT, 40)), "> "),
    "wrapped inside the prefix": f"parley:\n> join/{TEXT[PREFIX:]}",
    "wrapped everywhere": "\n".join(TEXT),
    "wrapped and followed by text": "\n".join(textwrap.wrap(TEXT, 60)) + "\nSee you there",
    "quoted-printable": "=\r\n".join(textwrap.wrap(TEXT, 70)),
    "no-break spaces": f"\u00a0{TEXT[:30]}\u00a0{TEXT[30:]}\u202f",
    "zero-width characters": "\u200b".join(TEXT) + "\ufeff",
    "soft hyphens": "\u00ad".join(textwrap.wrap(TEXT, 20)),
    "direction marks": f"\u202a{TEXT}\u202c\u200e",
    "percent-encoded": TEXT.replace(":", "%3A").replace("/", "%2F"),
    "percent-encoded in small letters": TEXT.replace(":", "%3a").replace("/", "%2f"),
    "a capital from a telephone": "P" + TEXT[1:],
    "shouted prefix": "PARLEY:JOIN/" + TEXT[PREFIX:],
    "twice": f"{TEXT}\n{TEXT}",
    "twice without a space": TEXT + TEXT,
    "after a word about invites": f"Paste the line that starts with parley:join/ into Parley:\n{TEXT}",
    "after a broken one": f"{TEXT[:100]}\n\nSorry, again:\n\n{TEXT}",
}


@pytest.mark.parametrize("name", PASTES)
def test_what_mail_programs_do_is_undone(name: str) -> None:
    assert Invite.parse(PASTES[name]) == INVITE


@given(invites, st.data())
def test_white_space_anywhere_is_undone(invite: Invite, data: st.DataObject) -> None:
    text = invite.to_text()
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from([" ", "\n", "\r\n", "\n> ", "\t", "\u00a0", "\u200b"])) + text[at:]
    assert Invite.parse(text) == invite


# -- what it may not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(len("parley:"), len(TEXT)))
def test_cut_anywhere_it_is_cut_short(at: int) -> None:
    assert _sentence(TEXT[:at]) == CUT_SHORT
    assert _sentence(f"Here it is: {TEXT[:at]}") == CUT_SHORT
    assert _sentence(TEXT[:at] + "\u2026") == CUT_SHORT
    assert _sentence(TEXT[:at] + "...") == CUT_SHORT


@pytest.mark.parametrize("at", range(len("parley:")))
def test_cut_to_next_to_nothing_it_is_no_invite(at: int) -> None:
    assert _sentence(TEXT[:at]) == NOT_AN_INVITE


@pytest.mark.parametrize("at", range(PREFIX + len("chat.example.org:7256/"), len(TEXT) - 1, 7))
def test_cut_with_the_rest_of_the_mail_behind_it(at: int) -> None:
    assert _sentence(f"{TEXT[:at]}\nUnfortunately, that was all. See you there!\nAlice") == CUT_SHORT
    assert _sentence(f"{TEXT[:at]}\n" + "Something of the whole mail may follow here and there\n" * 9) == CUT_SHORT


@given(invites, st.data())
def test_any_invite_cut_anywhere(invite: Invite, data: st.DataObject) -> None:
    text = invite.to_text()
    assert _sentence(text[: data.draw(st.integers(PREFIX, len(text) - 1))]) == CUT_SHORT


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_one_character_changed_at_every_position(at: int) -> None:
    """Every position, every character of the alphabet and some that are not in it."""
    for other in BASE64 + "!.,/:;+=#\u00e9\u2026":
        if other == TEXT[at] or (other.lower() == TEXT[at].lower() and at < PREFIX):
            continue
        sentence = _sentence(TEXT[:at] + other + TEXT[at + 1 :])
        if at < PREFIX:
            assert sentence == NOT_AN_INVITE
        elif at == len(TEXT) - 1 and other not in BASE64:
            assert sentence == CUT_SHORT  # a sign behind a link whose last character is missing
        else:
            assert sentence == ALTERED


@settings(max_examples=300)
@given(invites, st.data())
def test_any_character_changed_in_any_invite(invite: Invite, data: st.DataObject) -> None:
    text = invite.to_text()
    at = data.draw(st.integers(PREFIX, len(text) - 2))
    other = data.draw(st.sampled_from(BASE64).filter(lambda character: character != text[at]))
    assert _sentence(text[:at] + other + text[at + 1 :]) == ALTERED


@given(st.integers(PREFIX, len(TEXT) - 2), st.sampled_from(BASE64))
def test_altered_and_wrapped_it_is_altered(at: int, other: str) -> None:
    altered = TEXT[:at] + other + TEXT[at + 1 :]
    if other != TEXT[at] and altered[PREFIX:].count("/") == 1:
        assert _sentence("\n> ".join(textwrap.wrap(altered, 70)) + "\n\nSee you there") in (ALTERED, CUT_SHORT)


@given(st.integers(PREFIX + 30, len(TEXT) - 2))
def test_two_characters_swapped(at: int) -> None:
    if TEXT[at] != TEXT[at + 1]:
        assert _sentence(TEXT[:at] + TEXT[at + 1] + TEXT[at] + TEXT[at + 2 :]) == ALTERED


@given(st.text())
@example("%")
@example("parley:join/%2")
@example("parley:join/[::1")
@example("parley:join/[]:1/AAAA")
@example("parley:join/a:99999/AQCA")
@example("parley:join/a:1/" + "A" * 400)
@example("parley:join/a:1/____")
def test_any_text_gets_a_sentence(text: str) -> None:
    _sentence(text)
    _relay_sentence(text)


@given(st.text(st.sampled_from("parley:join/relay[]:.%2F3A+-_ \n>=AQab01")))
def test_any_nearly_right_text_gets_a_sentence(text: str) -> None:
    for line in ("parley:join/" + text, "parley:join/a:1/" + text):
        _sentence(line)
    for line in ("parley:relay/" + text, "parley:relay/a.example:1/" + text):
        with contextlib.suppress(InviteError):  # a short pass may be right by chance
            RelayAddress.parse(line)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "hello",
        "https://example.org/join/abc",
        "parley",
        "join/chat.example.org:7256/AAAA",
        "parley:leave/x",
        "\0",
    ],
)
def test_what_is_no_invite(text: str) -> None:
    assert _sentence(text) == NOT_AN_INVITE
    assert _relay_sentence(text) == NOT_A_RELAY


def test_a_megabyte_is_refused_at_once() -> None:
    for filler in ("x", "parley:join/", "parley:join/ ", "parley:join/a:1/", "\n> ", "%2F", TEXT[:100] + "\n", "A"):
        for size in (2**20, module.MAX_PASTE_CHARS):
            paste = (filler * (size // len(filler) + 1))[:size]
            begun = time.process_time()
            assert _sentence(paste) in (TOO_MUCH_TEXT, NOT_AN_INVITE, CUT_SHORT, ALTERED)
            _relay_sentence(paste)
            assert time.process_time() - begun < 5  # not a measurement: a bound on "never ends"
    assert _sentence("x" * 2**20) == TOO_MUCH_TEXT
    assert _relay_sentence("x" * 2**20) == RELAY_TOO_MUCH_TEXT


# -- other versions, and what only a hostile program writes ------------------------------------------------------------


def _line(payload: bytes, place: str = "chat.example.org:7256") -> str:
    """An invite with any payload and the right check."""
    whole = payload + module._check(place, payload)
    return f"parley:join/{place}/{base64.urlsafe_b64encode(whole).decode().rstrip('=')}"


def _payload(
    version: int = 1,
    mode: int = 1,
    pins: bytes = bytes((1,)) + PIN,
    relay_pass: bytes = b"\0",
    title: bytes = b"\x0dCabin weekend",
    extra: bytes = b"",
) -> bytes:
    rest = SECRET + OWNER + bytes(4) + bytes((mode,)) + pins + relay_pass + title + extra
    return bytes((version,)) + (3 + len(rest) + 8).to_bytes(2) + rest


def test_an_invite_written_by_hand_is_right_when_unchanged() -> None:
    assert _line(_payload()) == TEXT


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_invite_of_another_version_says_so(version: int) -> None:
    assert _sentence(_line(_payload(version=version))) == OTHER_VERSION


def test_another_version_may_have_another_form() -> None:
    rest = b"something entirely else"
    assert _sentence(_line(b"\x02" + (3 + len(rest) + 8).to_bytes(2) + rest)) == OTHER_VERSION


NEWER = {
    "unknown mode": _payload(mode=2),
    "three pins": _payload(pins=bytes((3,)) + PIN * 3),
    "pass flag 2": _payload(relay_pass=b"\x02" + PASS * 2),
    "title too short": _payload(title=b"\x0cCabin weekend"),
    "title too long": _payload(title=b"\x0eCabin weekend"),
    "no title length": _payload(title=b""),
    "more behind it": _payload(extra=b"\0"),
    "title not UTF-8": _payload(title=b"\x02\xff\xfe"),
    "nothing behind the mode": b"\x01" + (3 + 32 + 32 + 5 + 8).to_bytes(2) + SECRET + OWNER + bytes(5),
}


@pytest.mark.parametrize("name", NEWER)
def test_a_form_we_do_not_know_is_of_another_version(name: str) -> None:
    assert _sentence(_line(NEWER[name])) == OTHER_VERSION


def test_an_invite_that_is_too_short_for_its_own_check_is_altered() -> None:
    for size in range(11):
        whole = base64.urlsafe_b64encode(b"\x01" + size.to_bytes(2) + bytes(30)).decode()
        assert _sentence(f"parley:join/chat.example.org:7256/{whole}") == ALTERED


@pytest.mark.parametrize(
    "title",
    ["a\u202eb", "\u2066x", "a\0b", "a\nb", "a\tb", "\x1b[31m", "a\u2028b", "\u200bx", "\ufeffx", "\u00adx", "\x7f"],
)
def test_a_title_that_would_deceive_is_refused_both_ways(title: str) -> None:
    raw = title.encode()
    assert _sentence(_line(_payload(title=bytes((len(raw),)) + raw))) == TITLE_UNSAFE
    with pytest.raises(InviteError, match=re.escape(TITLE_UNSAFE)):
        Invite(SECRET, OWNER, 0, Mode.OPEN, RELAY, title)


def test_a_title_is_at_most_64_bytes() -> None:
    assert new_invite(OWNER, Mode.OPEN, RELAY, "\u00e9" * 32, secret=SECRET).title == "\u00e9" * 32
    for title in ("x" * 65, "\u00e9" * 33, "\U0001f600" * 17):
        with pytest.raises(InviteError, match=re.escape(TITLE_TOO_LONG)):
            new_invite(OWNER, Mode.OPEN, RELAY, title, secret=SECRET)
    assert _sentence(_line(_payload(title=bytes((65,)) + b"x" * 65))) == TITLE_TOO_LONG


def test_a_lone_surrogate_is_no_title() -> None:
    with pytest.raises(InviteError, match=re.escape(TITLE_UNSAFE)):
        new_invite(OWNER, Mode.OPEN, RELAY, "\ud83d", secret=SECRET)


def test_emoji_that_are_joined_are_a_title() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u05e9\u05dc\u05d5\u05dd"
    assert Invite.parse(new_invite(OWNER, Mode.OPEN, RELAY, family, secret=SECRET).to_text()).title == family


def test_an_invite_to_a_plain_relay_elsewhere_is_refused() -> None:
    no_pin = _payload(pins=b"\0")
    assert _sentence(_line(no_pin)) == PLAIN_ELSEWHERE
    assert Invite.parse(_line(no_pin, "127.0.0.1:7256")).relay == RelayAddress("127.0.0.1", 7256)


def test_an_invite_with_an_impossible_address_is_refused() -> None:
    assert _sentence(_line(_payload(), "-.example:1")) == BAD_HOST
    assert _sentence(_line(_payload(), "chat.example.org:0")) == BAD_PORT
    assert _sentence(_line(_payload(), "chat.example.org:65536")) == BAD_PORT


def test_wrong_sizes_are_the_callers_fault() -> None:
    for secret, owner, epoch in ((b"", OWNER, 0), (SECRET, OWNER[1:], 0), (SECRET, OWNER, -1), (SECRET, OWNER, 2**32)):
        with pytest.raises(ValueError, match="32"):
            Invite(secret, owner, epoch, Mode.OPEN, RELAY, "")
    with pytest.raises(ValueError, match="pin"):
        RelayAddress("a", 1, (PIN[1:],))
    with pytest.raises(ValueError, match="pin"):
        RelayAddress("a", 1, (PIN,) * 3)
    with pytest.raises(ValueError, match="pass"):
        RelayAddress("a", 1, (PIN,), b"x")


def test_an_invite_is_looked_for_at_so_many_places_and_no_more() -> None:
    before = "parley:join/ is how it begins, "
    assert Invite.parse(before * (MAX_TRIES - 1) + INVITE.to_text()) == INVITE
    with pytest.raises(InviteError):
        Invite.parse(before * MAX_TRIES + INVITE.to_text())


# -- relay lines -------------------------------------------------------------------------------------------------------

LINE = RelayAddress("chat.example.org", 7256, (PIN, SPARE), PASS)
RELAY_PASTES = {
    "as it is": LINE.to_text(),
    "in a sentence": f"Use {LINE.to_text()}, please.",
    "wrapped and quoted": "> " + "\n> ".join(textwrap.wrap(LINE.to_text(), 50)),
    "wrapped, with text behind it": "\n".join(textwrap.wrap(LINE.to_text(), 50)) + "\nGood luck",
    "percent-encoded": LINE.to_text().replace(":", "%3A").replace("/", "%2F").replace("+", "%2B"),
    "zero-width characters": "\u200b".join(LINE.to_text()),
}


@pytest.mark.parametrize("name", RELAY_PASTES)
def test_relay_lines_too_are_read_as_people_paste_them(name: str) -> None:
    assert RelayAddress.parse(RELAY_PASTES[name]) == LINE


def test_a_relay_line_cut_short() -> None:
    """Cut between its parts it is a whole line with fewer keys; anywhere else it is cut."""
    text = LINE.to_text()
    fewer = [RelayAddress(LINE.host, 7256, (PIN,)), RelayAddress(LINE.host, 7256, (PIN, SPARE))]
    whole = {len(relay.to_text()): relay for relay in fewer}
    for at in range(len("parley:relay/"), len(text)):
        if at in whole:
            assert RelayAddress.parse(text[:at]) == whole[at]
        else:
            assert _relay_sentence(text[:at]) == RELAY_CUT_SHORT


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT, INVITE_INSTEAD),
        ("parley:relay/chat.example.org:7256/plain", PLAIN_ELSEWHERE),
        ("parley:relay/192.0.2.7:7256/plain", PLAIN_ELSEWHERE),
        ("parley:relay/128.0.0.1:7256/plain", PLAIN_ELSEWHERE),
        ("parley:relay/localhost.example.org:7256/plain", PLAIN_ELSEWHERE),
        ("parley:relay/127.0.0.1:0/plain", BAD_PORT),
        ("parley:relay/127.0.0.1:65536/plain", BAD_PORT),
        ("parley:relay/300.1.1.1:1/plain", BAD_HOST),
        ("parley:relay/a..example:1/plain", BAD_HOST),
        ("parley:relay/-a.example:1/plain", BAD_HOST),
        ("parley:relay/[1:2]:1/plain", BAD_HOST),
        (f"parley:relay/{'a' * 64}.example:1/plain", BAD_HOST),
        ("parley:relay/ex ample!:1/plain", RELAY_ALTERED),
        ("parley:relay/chat.example.org/plain", RELAY_ALTERED),
        ("parley:relay/chat.example.org:7256/" + "A" * 42 + "B", RELAY_ALTERED),
        ("parley:relay/chat.example.org:7256/" + "A" * 44, RELAY_ALTERED),
        ("parley:relay/chat.example.org:7256/" + "A" * 20 + "!" + "A" * 22, RELAY_ALTERED),
        ("parley:relay/chat.example.org:7256/" + "A" * 42, RELAY_CUT_SHORT),
        ("parley:relay/chat.example.org:7256", RELAY_CUT_SHORT),
        ("parley:relay/", RELAY_CUT_SHORT),
    ],
)
def test_the_sentence_for_a_relay_line(text: str, sentence: str) -> None:
    assert _relay_sentence(text) == sentence


def test_a_relay_line_is_no_invite() -> None:
    assert _sentence(LINE.to_text()) == RELAY_INSTEAD


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "a..b", "fe80::1%eth0", "[::1]", "b\u00fccher.example", "1.2.3", "a" * 254]
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    with pytest.raises(InviteError, match=re.escape(BAD_HOST)):
        RelayAddress(host, 7256, (PIN,))


# -- the sentences themselves ------------------------------------------------------------------------------------------


def test_every_sentence_says_what_and_what_to_do() -> None:
    assert len(SENTENCES) == 16
    for sentence in SENTENCES:
        assert 2 <= len(re.findall(r"[.](?: |$)", sentence)) <= 3
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert len(sentence) < 170
    for one, other in itertools.combinations(SENTENCES, 2):
        assert one != other
