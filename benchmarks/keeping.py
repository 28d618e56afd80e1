"""What a message for 20 others costs that is sealed and kept, beside as many bare OAEP encryptions in the same run.

    python benchmarks/keeping.py [--others 20] [--rounds 300] [--directory DIR]

Contenders take turns, round after round, in one process.  See benchmarks/README.md.

* bare:   pyca/cryptography encrypts 190 bytes once for each key; key objects and padding are made before
* kept:   tag and mask one part for each link, encrypt each, and commit the message with its 20 numbers to a vault
* commit: of that, the vault alone

And besides, `settle`: the disk is asked to have it all, at most twice a second and before an acknowledgement.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402

from chatcore.engines import PLAINTEXT_SIZE  # noqa: E402
from chatcore.engines.openssl import OpenSSLEngine  # noqa: E402
from chatcore.kept import Changes, Line  # noqa: E402
from chatcore.lock import KEYS_SIZE, Guard, Lock  # noqa: E402
from chatcore.roomvault import RoomVault  # noqa: E402
from chatcore.seal import Body, SealKeys, seal_all  # noqa: E402
from chatcore.vault import Vault  # noqa: E402

ENGINE = OpenSSLEngine()
LIMIT = 1.5  # kept, in bare encryptions
REST = 150  # bytes of a message besides its number
WARM_UP = 20


def contenders(vault: Vault, others: int) -> dict[str, Callable[[], object]]:
    """Return what is to be measured, by name."""
    fps = tuple(secrets.token_bytes(32) for _ in range(others))
    moduli = [ENGINE.generate().modulus for _ in fps]
    bare_keys = [RSAPublicNumbers(65537, int.from_bytes(modulus)).public_key() for modulus in moduli]
    our_keys = [ENGINE.public_key(modulus) for modulus in moduli]
    seal_keys = [SealKeys(secrets.token_bytes(32), secrets.token_bytes(32)) for _ in fps]
    padding = OAEP(MGF1(SHA256()), SHA256(), None)
    plaintext = secrets.token_bytes(PLAINTEXT_SIZE)
    counters, bodies = [1] * others, [Body(2, 1, 1, plaintext[:REST]).to_bytes()] * others
    room = RoomVault(vault, secrets.token_bytes(32))
    room.commit(Changes(secrets.token_bytes(8)))
    count = 0

    def commit() -> None:
        nonlocal count
        count += 1
        line = Line(secrets.token_bytes(16), fps[0], secrets.token_bytes(REST), count, fps)
        owed = [(fp, count, line.mid) for fp in fps]
        room.commit(Changes(lines=[line], owed=owed, gone=dict.fromkeys(fps, count)))

    def kept() -> None:
        commit()
        for key, sealed in zip(our_keys, seal_all(seal_keys, counters, bodies), strict=True):
            key.encrypt(sealed)

    return {
        "bare": lambda: [key.encrypt(plaintext, padding) for key in bare_keys],
        "kept": kept,
        "commit": commit,
    }


def measure(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Let the contenders take turns; returns what each round took, in seconds."""
    took: dict[str, list[float]] = {name: [] for name in work}
    for number in range(WARM_UP + rounds):
        for name, run in work.items():
            begun_s = time.perf_counter()
            run()
            if number >= WARM_UP:
                took[name].append(time.perf_counter() - begun_s)
    return took


def main() -> int:
    """Read the command line, measure, print; status 1 if it costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--others", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--directory", type=Path, help="where the vault is made; another disk may be another story")
    options = parser.parse_args()
    if not (1 <= options.others <= 255 and 1 <= options.rounds <= 10_000):
        parser.error("1 to 255 others, 1 to 10000 rounds")
    keys = secrets.token_bytes(KEYS_SIZE)
    with tempfile.TemporaryDirectory(prefix="parley-keeping-", dir=options.directory) as home:
        vault = Vault.make(Path(home) / "vault", Lock.make(keys, Guard.NOBODY, bytes(16)), keys, [])
        work = contenders(vault, options.others)
        took = measure(work, options.rounds)
        settle = measure({"commit": work["commit"], "settle": vault.settle}, options.rounds // 10)["settle"]
        vault.close()
    print(
        f"one message to {options.others} others: medians, and how many times the bare encryptions of the same round\n"
    )
    ratios = {}
    for name, row in took.items():
        ratios[name] = statistics.median(one / bare for one, bare in zip(row, took["bare"], strict=True))
        print(f"{name:7}{1e6 * statistics.median(row):8.0f} us{ratios[name]:7.2f}")
    print(f"settle {1e3 * statistics.median(settle):8.1f} ms")
    print(f"\nkept / bare = {ratios['kept']:.2f}, at most {LIMIT}")
    return 0 if ratios["kept"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
