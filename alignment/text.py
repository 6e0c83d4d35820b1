"""Text from elsewhere (names, messages of servers and decoders, answers of people), made fit for where it is shown."""

import html
import re

from weights.files import first_line, printable

NO_TEXT = re.compile("[\udc80-\udcff]")  # bytes of a file's name that are not UTF-8, as Python holds them
MARKDOWN = re.compile(r"[\\`*\[\]|]")  # what would end a cell, or begin emphasis, a link, a picture
FORMULA = ("=", "+", "-", "@", "|", "%")  # how a formula begins in one spreadsheet or another


def shown(text, longest=300):
    """`text` for a terminal, a log or a table: what is not printable, or no text, becomes an escape; cut short."""
    return printable(NO_TEXT.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", str(text)), longest)


def one_line(error, longest=200):
    """The first line of an exception's text, escaped."""
    return first_line(error, longest)


def markdown(text, longest=300):
    """`text` within a line, or a table's cell, of Markdown: it appears as it is, and is nothing else."""
    return MARKDOWN.sub(r"\\\g<0>", html.escape(shown(text, longest), quote=False))


def cell(text, longest=2000):
    """`text` for a cell of a CSV file: escaped, and never a formula to a spreadsheet."""
    text = shown(text, longest)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
