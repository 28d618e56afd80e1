"""What a person may call themselves.  Pure.  Names of others are never refused, only shown safely."""

from __future__ import annotations

import unicodedata

from chatcore.errors import TextError

MAX_NAME_BYTES = 64  # of UTF-8: the field of a hello and of a JOIN (docs/PROTOCOL.md, "Members")

EMPTY = "Type your name first: it is what the others will see."
BLANK = "A name of blanks can't be seen. Type at least one letter."
TOO_LONG = "This name is too long. Use at most 64 bytes, which is 64 plain letters or 16 emoji."
UNSEEN = "This name has a character that can't be seen, such as a line break. Type it again without."
TURNED = "This name has a character that turns text around. Type it again without."

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = frozenset("\u200c\u200d")  # Persian, Hindi and many emoji need them
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters by category, but drawn as nothing

# Letters of other alphabets that are drawn like Latin ones, each with its Latin twin: capitals first, for some look
# alike only there.  One's own list, of those that common fonts don't tell apart.
_TWINS = str.maketrans(
    "АВЕЅЗІЈКМНОРСТУХԌԚԜаеѕіјорсухһԁԛԝгьӏӀΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορτυχωօսոհıɑɡǀ",
    "ABES3IJKMHOPCTYXGQWaesijopcyxhdqwrbllABEZHIKMNOPTYXayikvoptuxwounhiagl",
)
_ALIKE = str.maketrans("i1|!0", "llllo")  # after capitals are gone: I, l and 1 are one stroke, 0 and o one ring


def clean_name(text: str) -> str:
    """Return a name as it is used: without outer blanks, inner ones single; 1 to 64 bytes of UTF-8.

    Raises TextError with one sentence for the person who typed it.
    """
    if not text:
        raise TextError(EMPTY)
    if any(char in _TURNING for char in text):
        raise TextError(TURNED)
    trimmed = text.strip()
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS for char in trimmed):
        raise TextError(UNSEEN)
    if all(char.isspace() or char in _BLANKS or char in _JOINERS for char in trimmed):
        raise TextError(BLANK)
    name = " ".join(trimmed.split())
    if len(name.encode()) > MAX_NAME_BYTES:
        raise TextError(TOO_LONG)
    return name


def looks(name: str) -> str:
    """Return what a name looks like at a glance: two names that could be taken for each other come out the same.

    Not for showing.  Case, blanks, what can't be seen, accents on Latin letters and twins of other alphabets are gone.
    """
    out: list[str] = []
    latin = False
    for char in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).translate(_TWINS)):
        category = unicodedata.category(char)
        if category in ("Mn", "Me"):
            if latin:  # in other scripts marks are vowels
                continue
        elif char.isspace() or category[0] == "C" or char in _BLANKS:
            continue
        else:
            latin = char.translate(_TWINS).isascii()
        out.append(char)
    plain = "".join(out).translate(_TWINS).casefold().translate(_ALIKE)
    return plain.replace("rn", "m").replace("vv", "w")
