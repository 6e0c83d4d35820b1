"""Text that came from elsewhere (names, messages of servers and decoders), made fit for a terminal, a log or a table."""

import os
import re
import unicodedata

INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def shown(text, longest=300):
    """`text` for a terminal, a log or a table: what is not printable, or no text at all, becomes an escape; cut short."""
    text = os.fsencode(text).decode(errors="surrogateescape") if isinstance(text, os.PathLike) else str(text)
    parts = []
    for c in text[: longest + 1]:
        if "\udc80" <= c <= "\udcff":
            parts.append(f"\\x{ord(c) - 0xDC00:02x}")
        elif c.isprintable() and not changes_direction(c):
            parts.append(c)
        else:
            parts.append(c.encode("unicode_escape", "surrogatepass").decode())
    escaped = "".join(parts)
    return escaped if len(text) <= longest else escaped[:longest] + "..."


def one_line(error, longest=200):
    """The first line of an exception's text, escaped."""
    return shown((str(error).splitlines() or [""])[0].strip() or type(error).__name__, longest)


def changes_direction(c):
    """Does a character turn the direction of text, or show nothing? (It could hide what a name ends with.)"""
    return unicodedata.bidirectional(c) in DIRECTIONS or bool(INVISIBLE.match(c))
