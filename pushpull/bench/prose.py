"""Text for the bodies of messages: it compresses about as what people write does, unlike a row of x.

Words of English as often as Python's own help texts have them, in random order: without their phrases, so what is
said of compression is on the low side.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import cache
from pydoc_data.topics import topics
from typing import Final

TEXT_BYTES: Final = 1 << 18
"""More than a page of messages, so that no message of a page repeats another."""
SENTENCE: Final = (4, 14)
"""Words in one, at least and at most."""


class Prose:
    """An endless text, the same in each process; it begins anew after TEXT_BYTES."""

    def __init__(self) -> None:
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes: ASCII, nothing that JSON escapes."""
        text, start = _text(), self._at
        self._at = (start + size) % TEXT_BYTES
        taken = text[start : start + size]
        while len(taken) < size:
            taken += text[: size - len(taken)]
        return taken


@cache
def _text() -> bytes:
    counts = Counter(re.findall(r"\b[a-z]{1,14}\b", " ".join(topics.values())))
    choice = random.Random(1)
    words = choice.choices(list(counts), weights=list(counts.values()), k=TEXT_BYTES // 3)
    text = ""
    while len(text) < TEXT_BYTES and words:
        sentence = [words.pop() for _ in range(min(len(words), choice.randint(*SENTENCE)))]
        text += " ".join(sentence).capitalize() + ". "
    return text.encode()[:TEXT_BYTES]
