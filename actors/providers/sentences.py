"""Cuts English text into sentences; joined by blanks they are the text again.

Knows titles, initials and common abbreviations. Cannot see that "vitamin C. Then" ends a sentence: a single capital
with a full stop is taken for an initial.
"""

from __future__ import annotations

import re

#: A blank after a closing sign, before something that can open a sentence.
_BOUNDARY = re.compile(r"(?<=[.!?\u2026])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[A-Z\u00c0-\u00de0-9])")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(\"'\u201c])(?:Dr|Mr|Mrs|Ms|St|Mt|Ft|Prof|Gen|Gov|Sen|Rep|Capt|Lt|Col|Sgt|Rev|Hon|vs|No|Nos|Fig|Vol|pp|cf"
    r"|ca|approx|est|e\.g|i\.e|al|[A-Z])\.$"
)
#: "the U.S. Army" goes on, "in the U.S. The" does not.
_LETTERS = re.compile(r"(?:^|[\s(])(?:[A-Z]\.){2,}$")
#: How many characters on either side of a boundary are looked at.
_NEAR = 16
_OPENER_WORDS = "The A An It In On At He She They We But And As For If When This That These Those There Its"
_OPENERS = frozenset(_OPENER_WORDS.split())


def sentences(text: str) -> list[str]:
    """Return the sentences of one paragraph, blanks tidied."""
    tidy = " ".join(text.split())
    found: list[str] = []
    begin = 0
    for boundary in _BOUNDARY.finditer(tidy):
        end = boundary.end()
        before = tidy[max(begin, end - _NEAR) : end].rstrip()
        follower = tidy[end : end + _NEAR].split(" ", 1)[0]
        wordless = end - begin <= _NEAR and not any(map(str.isalnum, before))
        if wordless or _ABBREVIATED.search(before) or (_LETTERS.search(before) and follower not in _OPENERS):
            continue
        found.append(tidy[begin:end].rstrip())
        begin = end
    return [*found, tidy[begin:]] if tidy[begin:] else found
