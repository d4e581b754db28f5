"""Reads notes as a person typed them: Markdown in, paragraphs of plain sentences out.

What is left is what can be said and shown as a caption: markup, code, tables, pictures, addresses of links and emoji
go, their words stay. A sentence that holds a bare address or letters other than Latin is left out whole.
"""

from __future__ import annotations

import html
import re
import unicodedata

import msgspec

from actors.providers.letters import is_latin
from actors.providers.sentences import sentences


class Paragraph(msgspec.Struct, frozen=True):
    """The sentences of one paragraph; `number` counts from 1, `heading` is the one above it, if any."""

    number: int
    heading: str
    sentences: tuple[str, ...]


_BLOCKS = re.compile(r"\A---\n.*?\n---\n|^(```|~~~).*?(?:^\1[^\n]*$|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.MULTILINE)
_DROPPED_LINE = re.compile(r"^\s*(?:\||[-*_=]{3,}\s*$|\[[^\]]+\]:\s)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*)$")
_ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
#: Each looks a bounded way ahead, so that no text can make it slow.
_INLINE = (
    (re.compile(r"!\[[^\]]{0,300}\]\([^)]{0,2000}\)"), ""),  # pictures
    (re.compile(r"\[\^[^\]]{1,60}\]|\[\d{1,3}\]"), ""),  # footnotes and citations
    (re.compile(r"\[([^\]]{1,300})\](?:\([^)]{0,2000}\)|\[[^\]]{0,300}\])"), r"\1"),  # links
    (re.compile(r"<(https?://[^>\s]{1,2000})>"), r"\1"),
    (re.compile(r"</?[A-Za-z][^>]{0,300}>"), " "),
    (re.compile(r"`{1,3}([^`]{1,300})`{1,3}"), r"\1"),
    (re.compile(r"(\*\*\*|\*\*|\*|~~)(?=\S)(.{1,300}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)(___|__|_)(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!~>|])"), r"\1"),
)
_ADDRESS = re.compile(r"https?://|www\.|\S@\S+\.\S")
_INVISIBLE = {"Cf", "Co", "Cs", "Cn", "Cc"}
_SPOKEN_SIGNS = "°©®™"
_HEADING_MAX_CHARS = 48


def paragraphs(notes: str) -> list[Paragraph]:
    """Return the paragraphs that hold at least one sentence; they are numbered as they stand in `notes`."""
    text = _BLOCKS.sub("\n", notes.replace("\r\n", "\n").replace("\ufeff", ""))
    found: list[Paragraph] = []
    heading, number, lines = "", 0, list[str]()
    for line in [*text.split("\n"), ""]:
        title = _HEADING.match(line)
        if line.strip() and not title:
            lines.append(line)
            continue
        parts = _parts(lines)
        lines = []
        if parts:
            number += 1
            said = tuple(sentence for part in parts for sentence in sentences(part) if _speakable(sentence))
            found += [Paragraph(number, heading, said)] if said else []
        if title:
            heading = _heading(title[2]) if len(title[1]) > 1 else ""
    return found


def _heading(text: str) -> str:
    """Tidy the text of a heading; empty when it does not fit on a screen."""
    tidy = plain(text.rstrip("# "))
    return tidy if len(tidy) <= _HEADING_MAX_CHARS and is_latin(tidy) else ""


def plain(text: str) -> str:
    """Take Markdown, HTML and emoji out of one stretch of text and tidy its blanks."""
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    text = html.unescape(text)
    kept = "".join(sign if sign.isspace() or not _is_decoration(sign) else "" for sign in text)
    return re.sub(r"\s+([,.;:!?])", r"\1", " ".join(kept.split()))


def _is_decoration(sign: str) -> bool:
    category = unicodedata.category(sign)
    return category in _INVISIBLE or (category in {"So", "Mn"} and sign not in _SPOKEN_SIGNS)


def _parts(lines: list[str]) -> list[str]:
    """Join the lines of a paragraph; each item of a list stands for itself."""
    parts: list[str] = []
    for line in lines:
        unquoted = re.sub(r"^\s*(?:>\s?)+", "", line)
        if _DROPPED_LINE.match(unquoted):
            continue
        item = _ITEM.match(unquoted)
        if item or not parts:
            parts.append(unquoted[item.end() if item else 0 :])
        else:
            parts[-1] += f" {unquoted}"
    return [part for part in map(plain, parts) if part]


def _speakable(sentence: str) -> bool:
    return any(sign.isalnum() for sign in sentence) and is_latin(sentence) and not _ADDRESS.search(sentence)
