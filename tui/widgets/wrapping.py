"""Words and lines: which parts of a text stay together, and what a terminal must not get. Draws nothing."""

from __future__ import annotations

from rich.cells import cell_len

from tui.widgets.pane import Row

TAB = "    "
"""A tab, drawn."""
# What would move the cursor or change the terminal is shown as its code; line ends and tabs are dealt with before.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160)) if code not in (ord("\n"), ord("\t"))
}
# Directions and joins that would put letters elsewhere than where the row says they are.
_CONTROLS |= {
    code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), 0x2066, 0x2069, 0xFEFF)
}


def printable(words: str) -> str:
    """The text with what a terminal would act on written as codes."""
    return words.replace("\r\n", "\n").translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def one_line(words: str) -> str:
    """The text with all that would move the cursor written as codes, line ends and tabs too."""
    if words.isprintable():
        return words
    return printable(words).replace("\n", "\\n").replace("\t", "\\t")


def wrapped(words: str, role: str, room: int) -> list[Row]:
    """A short text in lines of at most `room` cells."""
    rows: list[Row] = []
    for paragraph in printable(words).split("\n"):
        line, used = "", 0
        for word in words_of(paragraph):
            for part in cut(word, room):
                cells = cell_len(part)
                if used + cell_len(part.rstrip(" ")) > room:
                    rows.append(((line.rstrip(" "), role),))
                    line, used = "", 0
                line, used = line + part, used + cells
        rows.append(((line.rstrip(" "), role),))
    return rows


def flowed(words: str, room: int) -> str:
    """A text with its line ends set, where Rich would break Chinese badly; as it is where there is no room yet."""
    return "\n".join("".join(part for part, _ in row) for row in wrapped(words, "", room)) if room > 0 else words


def words_of(line: str) -> list[str]:
    """Words with the spaces behind them; wide characters stand alone, and a full stop stays with what it closes."""
    if line.isascii():
        return _narrow_words(line)
    found: list[str] = []
    word = ""
    for char in line:
        if char in _CLOSING and (word or found):
            if word:
                word += char
            else:
                found[-1] += char
        elif char != " " and cell_len(char) == 2:
            if word:
                found.append(word)
                word = ""
            found.append(char)
        elif char == " ":
            if word or not found:
                word += char
            else:
                found[-1] += char
        else:
            if word.endswith(" "):
                found.append(word)
                word = ""
            word += char
    return [*found, word] if word else found


_CLOSING = frozenset("。，、！？；：）》」』”’")


def _narrow_words(line: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(line):
        space = line.find(" ", at)
        end = len(line) if space < 0 else space
        while end < len(line) and line[end] == " ":
            end += 1
        found.append(line[at:end])
        at = end
    return found


def cut(word: str, room: int) -> list[str]:
    """A word in parts of at most `room` cells."""
    if cell_len(word) <= room:
        return [word]
    if word.isascii():
        return [word[at : at + room] for at in range(0, len(word), room)]
    parts: list[str] = []
    part, used = "", 0
    for char in word:
        cells = cell_len(char)
        if used + cells > room and part:
            parts.append(part)
            part, used = "", 0
        part, used = part + char, used + cells
    return [*parts, part]
