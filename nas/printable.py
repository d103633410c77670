"""Text as it may be shown: names that somebody else wrote must not steer a terminal, a page or a card."""

from __future__ import annotations

import html
import re

# Control characters but tab and newline, and what turns the direction of writing around it.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$&])")  # what means something inside a line
_BLANKS = re.compile(r"\s+")


def printable(text: object) -> str:
    """Text for a terminal: every character that would steer it as `\\x1b` or `\\u202e`; newlines and tabs stay."""
    return _STEERING.sub(lambda found: _written(found[0]), str(text))


def json_safe(text: str) -> str:
    """The text of a JSON document without characters that steer a terminal: the same document."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def markdown(text: object) -> str:
    """Text inside a line or a cell of Markdown: it stays text, whatever it holds."""
    line = _BLANKS.sub(" ", printable(text)).strip()
    return _MARKDOWN.sub(r"\\\1", line)


def code_span(text: object) -> str:
    """Text as code inside a line or a cell of Markdown; the fence is longer than any in the text."""
    line = _BLANKS.sub(" ", printable(text)).strip()
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{blank}{line}{blank}{fence}".replace("|", "\\|")


def as_html(text: object) -> str:
    """Text inside HTML, between tags or in a quoted attribute."""
    return html.escape(printable(text))


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
