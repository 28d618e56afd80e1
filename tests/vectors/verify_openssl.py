"""Check the vectors with the `openssl` command line alone: `python tests/vectors/verify_openssl.py`.

A second implementation of docs/PROTOCOL.md, as far as the vectors go.  It imports nothing of Parley and no
cryptography: every hash, MAC, key derivation, decryption and signature is a run of `openssl` (3.0 or newer).  What is
left for Python is to cut, to join and to compare.  Ends with status 0 and a count, or with 1 and what was wrong.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
LABEL = b"parley/1 "
Record = dict[str, str]


class Wrong(Exception):
    """A vector isn't what the specification says."""


def records(group: str) -> Iterator[Record]:
    """Yield the records of a file."""
    for stanza in (HERE / f"{group}.txt").read_text("utf-8").split("\n\n"):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        if lines:
            yield {name: value for name, _, value in (line.partition(": ") for line in lines)}


def hexed(record: Record, *names: str) -> list[bytes]:
    """Return fields that are bytes."""
    return [bytes.fromhex(record[name].strip()) for name in names]


def same(left: object, right: object) -> None:
    """Raise Wrong unless both are equal."""
    if left != right:
        raise Wrong(f"{left!r} is not {right!r}"[:300])


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: str, stdin: bytes = b"") -> bytes | None:
    """Run openssl; None if it refuses."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else None


def must(output: bytes | None) -> bytes:
    """Return the output, or raise Wrong if openssl refused."""
    if output is None:
        raise Wrong("openssl refused")
    return output


def sha256(data: bytes) -> bytes:
    return must(run("dgst", "-sha256", "-binary", stdin=data))


def shake256(data: bytes, size: int) -> bytes:
    return must(run("dgst", "-shake256", "-xoflen", str(size), "-binary", stdin=data))


def hmac(key: bytes, data: bytes) -> bytes:
    return must(run("mac", "-digest", "SHA256", "-macopt", f"hexkey:{key.hex()}", "-binary", "HMAC", stdin=data))


def expand(prk: bytes, info: bytes, size: int) -> bytes:
    options = ("digest:SHA256", "mode:EXPAND_ONLY", f"hexkey:{prk.hex()}", f"hexinfo:{info.hex()}")
    chosen = [part for option in options for part in ("-kdfopt", option)]
    return must(run("kdf", "-keylen", str(size), *chosen, "-binary", "HKDF"))


def pbkdf2(password: bytes, salt: bytes, rounds: int, size: int) -> bytes:
    options = ("digest:SHA256", f"hexpass:{password.hex()}", f"hexsalt:{salt.hex()}", f"iter:{rounds}")
    chosen = [part for option in options for part in ("-kdfopt", option)]
    return must(run("kdf", "-keylen", str(size), *chosen, "-binary", "PBKDF2"))


def scrypt(password: bytes, salt: bytes, n: int, r: int, p: int, size: int) -> bytes:
    options = (
        f"hexpass:{password.hex()}",
        f"hexsalt:{salt.hex()}",
        f"n:{n}",
        f"r:{r}",
        f"p:{p}",
        "maxmem_bytes:268435456",
    )
    chosen = [part for option in options for part in ("-kdfopt", option)]
    return must(run("kdf", "-keylen", str(size), *chosen, "-binary", "SCRYPT"))


@cache
def folder() -> Path:
    """A place for keys and signatures, which the command wants as files; removed at the end."""
    return Path(_directory.name)


_directory = tempfile.TemporaryDirectory()


@cache
def key_files(name: str) -> tuple[str, str]:
    """Write the private key of a name, and the public key that openssl makes of it."""
    record = next(record for record in records("keys") if record.get("name") == name)
    private, public = folder() / f"{name}.der", folder() / f"{name}.pub.der"
    private.write_bytes(bytes.fromhex(record["private"]))
    made = run("rsa", "-in", str(private), "-inform", "DER", "-pubout", "-outform", "DER", "-out", str(public))
    must(made)
    return str(private), str(public)


@cache
def modulus(name: str) -> bytes:
    private, _ = key_files(name)
    shown = must(run("rsa", "-in", private, "-inform", "DER", "-noout", "-modulus"))
    return bytes.fromhex(shown.decode().strip().removeprefix("Modulus="))


def decrypt(name: str, block: bytes) -> bytes | None:
    """OAEP as the specification has it; None if it is refused.  Size and length are the reader's duty."""
    if len(block) != 256 or block >= modulus(name):
        return None
    private, _ = key_files(name)
    options = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")
    chosen = [part for option in options for part in ("-pkeyopt", option)]
    plaintext = run("pkeyutl", "-decrypt", "-inkey", private, "-keyform", "DER", *chosen, stdin=block)
    return plaintext if plaintext is not None and len(plaintext) == 190 else None


def verified(name: str, message: bytes, signature: bytes) -> bool:
    if len(signature) != 256 or signature >= modulus(name):
        return False
    _, public = key_files(name)
    (folder() / "signature").write_bytes(signature)
    arguments = ("-sha256", "-verify", public, "-keyform", "DER", "-signature", str(folder() / "signature"))
    return run("dgst", *arguments, stdin=message) is not None


# -- the groups --------------------------------------------------------------------------------------------------------


def check_keys(record: Record) -> None:
    (n,) = hexed(record, "modulus")
    acceptable = len(n) == 256 and n[0] >= 0x80 and n[-1] % 2 == 1
    same(acceptable, record.get("expect") != "refuse")
    if acceptable:
        same(modulus(record["name"]), n)
        same([sha256(LABEL + b"id" + n)], hexed(record, "fingerprint"))
        private, _ = key_files(record["name"])
        must(run("rsa", "-in", private, "-inform", "DER", "-check", "-noout"))


def mgf1(seed: bytes, size: int) -> bytes:
    return b"".join(sha256(seed + i.to_bytes(4, "big")) for i in range(-(-size // 32)))[:size]


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def check_oaep(record: Record) -> None:
    (block,) = hexed(record, "block")
    opened = decrypt(record["key"], block)
    if record["expect"] == "refuse":
        return same(opened, None)
    plaintext, seed = hexed(record, "plaintext", "seed")
    same(opened, plaintext)
    masked_db = xor(sha256(b"") + b"\x01" + plaintext, mgf1(seed, 223))
    encoded = b"\0" + xor(seed, mgf1(masked_db, 32)) + masked_db
    _, public = key_files(record["key"])
    bare = ("-pkeyopt", "rsa_padding_mode:none")
    same(run("pkeyutl", "-encrypt", "-pubin", "-inkey", public, "-keyform", "DER", *bare, stdin=encoded), block)
    return None


def check_signature(record: Record) -> None:
    message, signature = hexed(record, "message", "signature")
    same(verified(record["key"], message, signature), record["expect"] == "success")


def unseal(tag_key: bytes, mask_key: bytes, sealed: bytes) -> bytes | None:
    counter, tag, masked = sealed[:8], sealed[8:24], sealed[24:]
    body = xor(masked, shake256(mask_key + tag + counter, 166))
    return body if hmac(tag_key, counter + body)[:16] == tag else None


def check_seal(record: Record) -> None:
    opened = unseal(*hexed(record, "tag-key", "mask-key", "sealed"))
    if record["expect"] == "refuse":
        return same(opened, None)
    counter, body = int(record["counter"]), bytes.fromhex(record["body"])
    same(bytes.fromhex(record["sealed"])[:8], counter.to_bytes(8, "big"))
    return same(opened, body)


def check_record(record: Record) -> None:
    tag_key, mask_key, place, kept = hexed(record, "tag-key", "mask-key", "place", "record")
    tag, masked, context = kept[:16], kept[16:], LABEL + b"record" + place
    data = xor(masked, shake256(mask_key + tag + context, len(masked))) if masked else b""
    opened = data if hmac(tag_key, context + data)[:16] == tag else None
    same(opened, None if record["expect"] == "refuse" else bytes.fromhex(record["data"]))


def check_lock(record: Record) -> None:
    lock = bytes.fromhex(record["lock"])
    head, kept, check = lock[:32], lock[32:-16], lock[-16:]
    guard, log_n, r, p, salt = *head[12:16], head[16:32]
    secret = bytes.fromhex(record.get("secret", ""))
    if "passphrase" in record:
        letters = unicodedata.normalize("NFKC", bytes.fromhex(record["passphrase"]).decode()).encode()
        secret = scrypt(letters, salt, 1 << log_n, r, p, 64)
    keys = kept
    right = sha256(LABEL + b"lock" + lock[:-16])[:16] == check and head[:12] == b"parley lock\3"
    if guard and right:
        tag, masked, context = kept[:16], kept[16:], LABEL + b"record" + head
        keys = xor(masked, shake256(secret[32:] + tag + context, len(masked)))
        right = hmac(secret[:32], context + keys)[:16] == tag
    same(keys if right else None, None if record["expect"] == "refuse" else bytes.fromhex(record["keys"]))


def read_body(body: bytes) -> tuple[int, int, int, bytes] | None:
    if len(body) != 166:
        return None
    kind, part, parts, size = body[:4]
    right = 1 <= part <= parts and size <= 162 and not any(body[4 + size :]) and (size == 162 or part == parts)
    return (kind, part, parts, body[4 : 4 + size]) if right else None


def check_body(record: Record) -> None:
    read = read_body(bytes.fromhex(record["body"]))
    if record["expect"] == "refuse":
        return same(read, None)
    (content,) = hexed(record, "content")
    return same(read, (int(record["kind"]), int(record["part"]), int(record["parts"]), content))


def check_room(record: Record) -> None:
    secret, owner = hexed(record, "secret", "owner")
    prk = hmac(LABEL + b"room", secret)
    context = owner + int(record["epoch"]).to_bytes(4, "big") + bytes((int(record["mode"]),))
    same([expand(prk, LABEL + b"room id" + context, 32)], hexed(record, "room-id"))
    same([expand(prk, LABEL + b"room key" + context, 32)], hexed(record, "room-key"))


def check_invite(record: Record) -> None:
    if record["expect"] != "success":
        return same(judge_invite(record["text"]), record["expect"])
    host, port = record["host"], record["port"]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    pins = [bytes.fromhex(record[name]) for name in ("pin-1", "pin-2") if name in record]
    relay_pass = bytes.fromhex(record.get("pass", ""))
    title = bytes.fromhex(record["title"])
    secret, owner = hexed(record, "secret", "owner")
    rest = secret + owner + int(record["epoch"]).to_bytes(4, "big") + bytes((int(record["mode"]), len(pins)))
    rest += b"".join(pins) + bytes((len(relay_pass) // 32,)) + relay_pass + bytes((len(title),)) + title
    payload = b"\x01" + (3 + len(rest) + 8).to_bytes(2, "big") + rest
    payload += sha256(LABEL + b"invite check" + place.encode() + payload)[:8]
    same(f"parley:join/{place}/{base64.urlsafe_b64encode(payload).decode().rstrip('=')}", record["text"])
    return same(judge_invite(record["text"]), "success")


def judge_invite(text: str) -> str:
    """The order of judgement, for a line that stands alone."""
    if not text.startswith("parley:join/"):
        return "not an invite"
    place, slash, characters = text.removeprefix("parley:join/").partition("/")
    if not slash or len(characters) < 4:
        return "cut short"
    whole = len(characters) - (len(characters) % 4 == 1)
    payload = base64.urlsafe_b64decode(characters[:whole] + "=" * (-whole % 4))
    size = int.from_bytes(payload[1:3], "big")
    if len(payload) < size:
        pins_end = 73 + 32 * payload[72] if len(payload) > 72 else len(payload)
        pass_end = pins_end + 1 + 32 * payload[pins_end] if len(payload) > pins_end else len(payload)
        implied = pass_end + 1 + payload[pass_end] + 8 if len(payload) > pass_end else 0
        return "altered" if implied == len(payload) else "cut short"
    payload = payload[:size]
    canonical = base64.urlsafe_b64encode(payload).decode().rstrip("=") == characters
    if not canonical or sha256(LABEL + b"invite check" + place.encode() + payload[:-8])[:8] != payload[-8:]:
        return "altered"
    return "success" if payload[0] == 1 else "other version"


def check_words(record: Record) -> None:
    """The eleven bits of each word; the list itself is named by its hash in docs/PROTOCOL.md."""
    room_id, fps = hexed(record, "room-id", "fps")
    words = record["words"].split()
    password = sha256(LABEL + b"words" + (len(fps) // 32).to_bytes(2, "big") + fps)
    salt = LABEL + b"words" + room_id + int(record["epoch"]).to_bytes(4, "big")
    bits = int.from_bytes(pbkdf2(password, salt, 2**19, 11), "big")
    same(len(words), 8)
    for at, word in zip(range(77, -1, -11), words, strict=True):
        same(WORDS_SEEN.setdefault(word, bits >> at & 2047), bits >> at & 2047)
    # The list is sorted, so words and their numbers must be in the same order.
    same(sorted(WORDS_SEEN), sorted(WORDS_SEEN, key=WORDS_SEEN.__getitem__))


WORDS_SEEN: dict[str, int] = {}
HELLOS: dict[str, bytes] = {}
LINK_KEYS: dict[str, tuple[bytes, bytes]] = {}


def check_link(record: Record) -> None:
    if "hello" in record:
        check_hello(record)
    elif "transcript" in record:
        check_transcript(record)
    else:
        content, block = hexed(record, "content", "block")
        sealed = must(decrypt(record["receiver"], block))
        same(int.from_bytes(sealed[:8], "big"), int(record["counter"]))
        body = must(unseal(*LINK_KEYS[record["sender"]], sealed))
        same(read_body(body), (int(record["kind"]), 1, 1, content))


def check_hello(record: Record) -> None:
    sender, receiver = modulus(record["sender"]), modulus(record["receiver"])
    room_id, room_key, nonce, nick, hello = hexed(record, "room-id", "room-key", "nonce", "nick", "hello")
    same(
        hello[:392],
        modulus(record["identity"]) + nonce + bytes((0, 0, len(nick))) + nick.ljust(64, b"\0") + bytes(37),
    )
    same(
        verified(record["identity"], LABEL + b"hello sig" + room_id + sender + receiver + hello[:392], hello[392:]),
        True,
    )
    both = expand(room_key, LABEL + b"hello" + sha256(sender + receiver), 64)
    for number in range(4):
        (block,) = hexed(record, f"block-{number + 1}")
        sealed = must(decrypt(record["receiver"], block))
        same(int.from_bytes(sealed[:8], "big"), 2**63 + number)
        body = must(unseal(both[:32], both[32:], sealed))
        same(read_body(body), (0, number + 1, 4, hello[162 * number : 162 * number + 162]))
    HELLOS[record["sender"]] = hello


def check_transcript(record: Record) -> None:
    low, high = record["low"], record["high"]
    same(modulus(low) < modulus(high), True)
    room_id, room_key, hello_low, hello_high = hexed(record, "room-id", "room-key", "hello-low", "hello-high")
    same((hello_low, hello_high), (HELLOS[low], HELLOS[high]))
    transcript = sha256(LABEL + b"transcript" + room_id + modulus(low) + modulus(high) + hello_low + hello_high)
    same([transcript], hexed(record, "transcript"))
    prk = hmac(room_key, hello_low[256:288] + hello_high[256:288])
    for side, (end, name) in enumerate(((low, "low"), (high, "high"))):
        both = expand(prk, LABEL + b"link" + transcript + bytes((side,)), 64)
        LINK_KEYS[end] = both[:32], both[32:]
        same([*LINK_KEYS[end]], hexed(record, f"{name}-tag-key", f"{name}-mask-key"))


def check_statement(record: Record) -> None:
    if "hashes" in record:
        return check_set(record)
    room_id, owner, statement = hexed(record, "room-id", "owner", "statement")
    same(good_statement(room_id, owner, record["signer"], statement), record["expect"] == "success")
    if record["expect"] == "success":
        same([sha256(LABEL + b"statement" + statement)], hexed(record, "hash"))
    return None


def good_statement(room_id: bytes, owner: bytes, signer: str, statement: bytes) -> bool:
    kind, signer_fp, subject = statement[0], statement[1:33], statement[33:65]
    key = modulus(signer)
    sizes = {1: 73 + 256 + 65 + 256, 2: 73 + 256, 3: 73 + 256, 5: 73 + 1 + 256, 6: 73 + 354 + 256}
    if len(statement) != sizes.get(kind):
        return False
    if sha256(LABEL + b"id" + key) != signer_fp or (kind == 1 and statement[73:329] != key):
        return False
    if (signer_fp != subject) if kind in (1, 2) else (signer_fp != owner):
        return False
    if kind == 5 and (signer_fp != subject or statement[73] > 30):
        return False
    if kind == 6 and (signer_fp != subject or not good_relay(statement[73:427])):
        return False
    return verified(signer, LABEL + b"stmt" + room_id + key + statement[:-256], statement[-256:])


def good_relay(extra: bytes) -> bool:
    """Say whether 354 bytes are host, port, pins and pass, each followed by zeros."""
    host, count, has_pass = extra[0], extra[256], extra[321]
    if not 1 <= host <= 253 or count not in (1, 2) or has_pass > 1 or not any(extra[254:256]):
        return False
    unused = extra[1 + host : 254] + extra[257 + 32 * count : 321] + (b"" if has_pass else extra[322:])
    return not any(unused) and all(0x21 <= byte <= 0x7E for byte in extra[1 : 1 + host])


def check_set(record: Record) -> None:
    room_id, hashes, members = hexed(record, "room-id", "hashes", "members")
    same([sha256(LABEL + b"set" + room_id + hashes)], hexed(record, "set"))
    same([sha256(LABEL + b"who" + room_id + members)], hexed(record, "who"))


def check_content(record: Record) -> None:
    if "log" in record:
        log, ack_set, content = hexed(record, "log", "set", "content")
        numbers = int(record["cursor"]).to_bytes(8, "big") + int(record["head"]).to_bytes(8, "big")
        return same(log + numbers + ack_set, content)
    if "mid" not in record:
        return check_list(record)
    room_id, sender, salt, who, text, content = hexed(record, "room-id", "sender", "salt", "who", "text", "content")
    app = b"\x01" + text
    if "answers" in record:
        answers, author = hexed(record, "answers", "author")
        app = b"\x02" + answers + author + int(record["came"]).to_bytes(8, "big") + text
    rest = salt + int(record["time"]).to_bytes(8, "big") + who + app
    same(int(record["number"]).to_bytes(8, "big") + rest, content)
    return same([sha256(LABEL + b"mid" + room_id + sender + rest)[:16]], hexed(record, "mid"))


def check_list(record: Record) -> None:
    who, content = hexed(record, "who", "content")
    if "people" not in record:
        return same(b"\0" + who, content)
    room_id, people = hexed(record, "room-id", "people")
    same(b"\1" + who + people, content)
    if people and any(who):
        fps = b"".join(people[at : at + 32] for at in range(0, len(people), 97))
        same(sha256(LABEL + b"who" + room_id + fps), who)


def check_frame(record: Record) -> None:
    (frame,) = hexed(record, "frame")
    right = len(frame) == 272 and frame[0] == 1 and 1 <= frame[1] <= 8
    same(right, record["expect"] == "success")
    if right:
        address, block = hexed(record, "address", "block")
        head = bytes((1, int(record["kind"]))) + int(record["argument"]).to_bytes(2, "big")
        same(head + int(record["number"]).to_bytes(4, "big") + address + block, frame)


def check_engine(record: Record) -> None:
    if "token" in record:
        (room_id,) = hexed(record, "room-id")
        return same(base64.b32encode(sha256(LABEL + b"engine" + room_id)[:20]).decode().lower(), record["token"])
    (message,) = hexed(record, "message")
    if record["expect"] != "success":
        return same(_says_something(message), False)
    body = bytes.fromhex(record.get("gone", "") + record.get("come", ""))
    if "before" in record:
        gone = len(record["gone"]) // 32
        body = int(record["before"]).to_bytes(8, "big") + gone.to_bytes(2, "big") + body
    if "digest" in record:
        (seats,) = hexed(record, "seats")
        digest = 0
        for at in range(0, len(seats), 16):
            digest ^= int.from_bytes(sha256(seats[at : at + 16])[:8], "big")
        same(digest, int(record["digest"]))
        body = digest.to_bytes(8, "big")
    if "whom" in record:
        body = hexed(record, "whom")[0] + bytes((int(record["anew"]),))
    head = bytes((1, int(record["kind"]))) + hexed(record, "boot")[0] + int(record["number"]).to_bytes(8, "big")
    same(_says_something(message), True)
    return same(head + body, message)


def _says_something(message: bytes) -> bool:
    """Say whether this is one of the six messages, in the one form that it has."""
    kind, body = message[1], message[18:]
    gone = 0
    if kind == 2 and len(body) >= 10:
        gone, body = int.from_bytes(body[8:10], "big"), body[10:]
    rows = [body[at : at + 16] for at in range(0, len(body), 16)]
    lists = [rows[:gone], rows[gone:]]
    fits = {
        1: all(len(row) == 16 and any(row[8:]) for row in rows) and rows == sorted({*rows}),
        2: all(len(row) == 16 for row in rows) and gone <= len(rows) and all(x == sorted({*x}) for x in lists),
        3: len(body) == 8,
        4: len(body) == 9 and body[-1] < 2,
        5: not body,
        6: not body,
    }
    return message[0] == 1 and any(message[2:10]) and fits.get(kind, False)


GROUPS: dict[str, Callable[[Record], None]] = {
    "keys": check_keys,
    "oaep": check_oaep,
    "signature": check_signature,
    "seal": check_seal,
    "record": check_record,
    "lock": check_lock,
    "body": check_body,
    "room": check_room,
    "invite": check_invite,
    "words": check_words,
    "link": check_link,
    "statement": check_statement,
    "content": check_content,
    "frame": check_frame,
    "engine": check_engine,
}


def main() -> int:
    """Check everything, say how it went."""
    passed = failed = 0
    for group, check in GROUPS.items():
        for number, record in enumerate(records(group), 1):
            try:
                check(record)
            except (Wrong, KeyError, ValueError) as error:
                failed += 1
                print(f"{group} {number}: {error}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
