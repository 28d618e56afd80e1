"""docs/PROTOCOL.md says what the program does: labels, kinds, sizes and bounds are compared, not trusted."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from chatcore import clock, delivery, door, hello, link, members, place, seat, talk, text, words
from chatcore.cable import Timing
from chatcore.content import ContentKind
from chatcore.engines import EXPONENT, PLAINTEXT_SIZE
from chatcore.invite import MAX_PASTE_CHARS, MAX_PINS, MAX_TITLE_BYTES, MAX_TRIES, Invite
from chatcore.members import StatementType
from chatcore.seal import BODY_SIZE, CONTENT_SIZE, LABEL, MAX_CONTENT_BYTES, MAX_PARTS, SEALED_SIZE
from chatcore.wire import BLOCK_SIZE, DEFAULT_PORT, FRAME_SIZE, HEADER_SIZE, VERSION, Kind, Refusal
from chatcore.wordlist import english
from relay import across, cluster

ROOT = Path(__file__).parent.parent
PAPER = (ROOT / "docs" / "PROTOCOL.md").read_text("utf-8")
CORE = sorted([*(ROOT / "chatcore").rglob("*.py"), *(ROOT / "relay").rglob("*.py")])


def _section(heading: str) -> str:
    """The text under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAPER, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def _rows(heading: str) -> list[list[str]]:
    """The tables of a section, row by row, without head and rule."""
    lines = [line for line in _section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _says(*phrases: str) -> None:
    for phrase in phrases:
        assert phrase in PAPER, phrase


def test_how_long_a_proxy_is_waited_for() -> None:
    _says(f"For the proxy to connect, a client waits {Timing().proxy_s:.0f} s.")


def test_the_labels_are_those_in_the_code() -> None:
    source = "\n".join(path.read_text("utf-8") for path in CORE)
    used = set(re.findall(r'LABEL \+ b"([a-z ]+)"', source)) | set(re.findall(r'\bdigest\(b"([a-z ]+)"', source))
    used |= set(re.findall(r'_room_value\(b"([a-z ]+)"\)', source))
    listed = {label for row in _rows("Labels")[1:] for label in re.findall(r"`([a-z ]+)`", row[0])}
    assert used == listed
    assert LABEL == b"parley/1 "
    _says("`parley/1 `")


def test_the_frames_are_those_in_the_code() -> None:
    named = {(int(row[0]), row[1]) for row in _rows("The wire") if row[0].isdigit() and row[1].isupper()}
    assert named == {(kind.value, kind.name) for kind in Kind}
    reasons = re.search(r"Reasons: (.*)", PAPER)
    assert reasons is not None
    assert [int(number) for number in re.findall(r"\b(\d) [a-z]", reasons[1])] == [reason.value for reason in Refusal]
    assert (VERSION, HEADER_SIZE, BLOCK_SIZE, FRAME_SIZE) == (1, 16, 256, 272)
    _says("A frame has 272 bytes", "a header of 16 and a block of 256", f"The default port is {DEFAULT_PORT}")


def test_what_relays_say_is_in_the_code() -> None:
    kinds = {(int(row[0]), row[1]) for row in _rows("Between relays") if row[0].isdigit()}
    assert kinds == {(about.value, about.name) for about in across.About}
    assert (across.VERSION, across.BOOT_SIZE, across.TOKEN_SIZE, across.LABEL) == (1, 8, 20, LABEL)
    shown = across.Subjects("C", "NAME", "BOOT")
    for subject in (
        shown.own_heart,
        shown.own_words("TOKEN"),
        shown.room("TOKEN"),
        shown.blocks("NAME", "BOOT", "TOKEN"),
    ):
        _says(f"`{subject}`")
    beats = cluster.SILENT_BEATS, cluster.GRACE_BEATS, cluster.ROUND_BEATS, cluster.LISTS_PER_BEAT
    assert (*beats, cluster.ROUND_BEATS * cluster.ROUNDS) == (3, 10, 4, 4, 12)
    assert (cluster.CHANGES_PER_SECOND, cluster.CHANGES_AT_ONCE) == (64, 4)
    _says(
        f"A batch of blocks is 1 to {across.MAX_BLOCKS} times {across.BLOCK_BYTES} bytes",
        f"at most {across.MAX_RECORDS:,} in a message",
        f"longer than {across.MAX_MESSAGE_BYTES:,} bytes",
        f"up to {cluster.FAR_SEATS_PER_CONNECTION} for each connection that the relay allows",
        f"{cluster.MAX_RELAYS} relays",
        f"{cluster.MAX_LIVES} boots of each name",
    )


def test_the_contents_and_statements_are_those_in_the_code() -> None:
    kinds = {(int(row[0]), row[1]) for row in _rows("7. Content") if row[0].isdigit()}
    assert kinds == {(kind.value, kind.name) for kind in ContentKind}
    types = {int(row[0]): row[1:3] for row in _rows("8. Members") if row[0].isdigit() and row[1].isupper()}
    sizes = {kind: members._HEAD.size + members._EXTRA_SIZE[kind] + 256 for kind in StatementType}
    assert {kind: types[kind.value] for kind in StatementType} == {
        kind: [kind.name, str(size)] for kind, size in sizes.items()
    }


def test_the_sizes_are_those_in_the_code() -> None:
    assert (PLAINTEXT_SIZE, SEALED_SIZE, EXPONENT) == (190, 190, 65537)
    assert (BODY_SIZE, CONTENT_SIZE, MAX_PARTS, MAX_CONTENT_BYTES) == (166, 162, 255, 41_310)
    assert (hello.HELLO_SIZE, hello.HELLO_PARTS, hello.HELLO_COUNTER) == (648, 4, 2**63)
    assert (len(delivery.Ready().to_bytes()), link.COUNTER_LIMIT) == (88, 2**32)
    assert (words.WORD_COUNT, words.WORD_BITS, words.ROUNDS) == (8, 11, 2**19)
    assert (MAX_PINS, MAX_TITLE_BYTES) == (2, 64)
    listed = hashlib.sha256("".join(f"{word}\n" for word in english()).encode()).hexdigest()
    _says("exactly 190 bytes", "41,310 bytes (255 parts)", "648 bytes in four parts", "88 bytes, one part", listed)
    _says(f"no more than {MAX_PASTE_CHARS:,} characters and {MAX_TRIES} places")


def test_the_bounds_are_those_in_the_code() -> None:
    bounds = {row[0]: row[1] for row in _rows("6. Bounds")[1:]}

    def bucket(budget: tuple[float, float]) -> str:
        return f"{budget[0]:,.0f} at once, {budget[1]:.0f} each second"

    assert bounds["KEYs sent by a client"] == bucket(seat.KEY_BUDGET)
    assert bounds["HELLOs signed"] == bucket(seat.SIGNATURE_BUDGET)
    assert bounds["decryptions on links that aren't up, and KEYs looked at"] == bucket(seat.DECRYPTION_BUDGET)
    assert bounds["decryptions on provisional links, all together"] == bucket(seat.DECRYPTION_BUDGET)
    assert bounds["links that go on after a LEFT"] == bucket(seat.RETURN_BUDGET)
    assert bounds["statements taken over one link"] == bucket(talk.STATEMENT_BUDGET)
    assert bounds["text"].startswith(f"{text.MAX_TEXT_BYTES:,} bytes")
    assert bounds["blocks looked at in one attempt before it is up"].startswith(f"{link.MAX_EARLY_BLOCKS},")
    assert bounds["in flight to one recipient"].startswith(f"{delivery.WINDOW_PARTS} parts")
    assert bounds["logs remembered of one sender"] == str(delivery.MAX_LOGS)
    assert bounds["HELLOs kept unanswered; knocks"] == f"{door.MAX_KNOCKS}; {door.MAX_KNOCKS}"
    assert bounds["addresses at a client; members of a room"].startswith(
        f"{seat.MAX_ADDRESSES}; {members.MAX_MEMBERS}:"
    )
    assert bounds["statements"].startswith(f"about {members.MAX_SUBJECTS} people, three each")
    assert f"about {members.MAX_WAITING} people without an ADMIT" in bounds["statements"]
    days = delivery.MAX_OUTBOX_AGE_MS // 86_400_000
    mib = delivery.MAX_OUTBOX_BYTES // 2**20
    assert bounds["owed to one recipient"].startswith(
        f"{delivery.MAX_OUTBOX_MESSAGES:,} messages, {mib} MiB, {days} days"
    )


def test_the_times_are_those_in_the_code() -> None:
    assert (clock.STEADY_S, clock.SET_MS) == (3600.0, 300_000)
    assert (link.HELLO_REPEATS_S, link.ATTEMPT_S, link.SILENCE_S) == ((2.0, 4.0, 8.0, 16.0, 32.0), 60.0, 90.0)
    assert (place.KEY_REPEATS_S, place.KEY_ANSWER_GAP_S, seat.RETRY_JITTER_S) == ((4.0, 16.0), 2.0, 5.0)
    assert (talk.ACK_TICK_S, talk.HEARTBEAT_S, talk.READY_AGAIN_S) == ((0.2, 0.8), (25.0, 35.0), (5.0, 60.0))
    assert (delivery.RESEND_FIRST_S, delivery.RESEND_MAX_S, talk.WANT_AGAIN_S) == (5.0, 300.0, (3.0, 300.0))
    assert (door.KNOCK_S, door.GONE_S, door.LEFT_S, link.KNOCK_S) == (900.0, 20.0, 5.0, 900.0)
    _says(
        "HELLO and READY go out again 2, 4, 8, 16 and 32 s after the first time",
        "An attempt that isn't up after 60 s is ended",
        "begins the next up to 5 s later",
        "ends after 90 s in which nothing of it has opened",
        "Who is first repeats KEY 4 s and again 16 s after the first time",
        "unless the link is up or the last KEY went out less than 2 s ago",
        "0.2 to 0.8 s (random) after a message came, at once after 64 of them, and every 25 to 35 s",
        "after 5, 10, 20, 40, 60, 60... s until an ACK comes",
        "Without progress for 5, 10, 20, ... 300 s",
        "after 3, 6, ... 300 s while the difference lasts",
        "each for 15 minutes since it was last heard, or 20 s after its link has ended, 5 s if its seat is empty",
    )


def test_the_vectors_it_names_are_there_and_named() -> None:
    named = set(re.findall(r"`(\w+)\.txt`", PAPER))
    assert named == {path.stem for path in (ROOT / "tests" / "vectors").glob("*.txt")}


def test_the_invite_it_shows_is_one() -> None:
    shown = re.search(r"\n    (parley:join/relay\.example:7256/\S+\n    \S+)\n", PAPER)
    assert shown is not None
    first = re.search(r"^text: (.*)$", (ROOT / "tests" / "vectors" / "invite.txt").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert Invite.parse(shown[1]) == Invite.parse(first[1])
    assert Invite.parse(shown[1]).title == "Cabin weekend"


def test_the_sections_that_the_code_points_to_are_there() -> None:
    headings = {re.sub(r"^\d+\. ", "", heading) for heading in re.findall(r"^#+ (.+)$", PAPER, re.MULTILINE)}
    pointed: set[str] = set()
    for path in [*CORE, *(ROOT / "relay").glob("*.py")]:
        source = " ".join(path.read_text("utf-8").split())
        for after in re.findall(r'docs/PROTOCOL\.md[,:]? ((?:"[^"]+"(?:,| and)? ?)+)', source):
            pointed |= set(re.findall(r'"([^"]+)"', after))
    assert len(pointed) > 10
    assert pointed - headings == set()


def test_each_attack_that_is_listed_is_tried_and_each_that_is_tried_is_listed() -> None:
    listed = [int(row[0]) for row in _rows("Attacks") if row[0].isdigit()]
    sources = [path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py")]
    tried = {int(number) for source in sources for number in re.findall(r"^def test_attack_([0-9]+)", source, re.M)}
    assert len(tried) > 50
    assert listed == sorted(tried)
