"""Sentences for notes and ``rejected.csv`` without what they quote of a file, unless it is a known word."""

from __future__ import annotations

import re

from cxrbatch.deidentification.vocabulary import UIDS, WORDS

WITHHELD = "(withheld)"

# From the first opening quote to the last closing one, as a quoted value may itself hold quotes; an
# apostrophe within a word opens nothing.
_QUOTED = re.compile(r"""(?<!\w)(['"\u2018\u201c`]).*['"\u2019\u201d`](?!\w)""", re.DOTALL)
_QUOTE = re.compile(r"""(?<!\w)['"\u2018\u201c`]([^'"\u2018\u2019\u201c\u201d`]*)['"\u2019\u201d`](?!\w)""")
_UID = re.compile(r"\d+(?:\.\d+){3,}")
_NUMBER = re.compile(r"\d{7,}")
_PATH = re.compile(r"(?<![\w<])(?:~|\.{0,2})/[^\s,;]*[^\s,;.:]")
_LIBRARY = re.compile(
    r"(cannot be decoded|is damaged|is unusable|No decoder here reads this transfer syntax)\b[ :(].*",
    re.DOTALL,
)
"""What follows is a library's own message."""


def withheld(sentence: str) -> str:
    """`sentence` with every quoted value, UID, path and long number replaced, unless it is a known word.

    What a file's header holds stands in quotes in our sentences; what other libraries say is cut off.
    """
    sentence = sentence.replace("reads transfer syntax", "reads this transfer syntax:")
    text = _LIBRARY.sub(r"\1.", sentence)
    quotes = _QUOTE.findall(text)
    if quotes and all(value.upper() in WORDS for value in quotes):
        rest = _QUOTE.sub("", text)
        if not _QUOTED.search(rest):
            return _plain(text)
    return _plain(_QUOTED.sub(WITHHELD, text))


def _plain(text: str) -> str:
    text = _UID.sub(lambda match: match[0] if match[0] in UIDS else WITHHELD, text)
    return _NUMBER.sub(WITHHELD, _PATH.sub(WITHHELD, text))
