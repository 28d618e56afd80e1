"""What is wrong with a history: the judge of every crowd, itself shown wrong ones in test_crowd.py."""

from __future__ import annotations

Said = dict[str, list[str]]  # who -> texts, in the order in which they were said
Got = dict[str, list[tuple[str, str]]]  # who -> (sender, text), in the order in which they came


def mistakes(said: Said, got: Got) -> list[str]:
    """Return what is wrong with a history: nothing may be lost, doubled, misread, out of order, or come back."""
    found = []
    for reader, history in got.items():
        for sender, texts in said.items():
            wanted = [] if sender == reader else texts
            came = [text for who, text in history if who == sender]
            if came == wanted:
                continue
            kinds = {
                "lost": {*wanted} - {*came},
                "doubled": {text for text in came if came.count(text) > 1},
                "misread": [text for text in came if text not in wanted],
            }
            whats = [f"{kind} {len(texts)}" for kind, texts in kinds.items() if texts] or ["out of order"]
            found.append(f"{reader} from {sender}: {', '.join(whats)}")
        strangers = {who for who, _ in history} - said.keys()
        found += [f"{reader} from {stranger}: unknown" for stranger in sorted(strangers)]
    return found
