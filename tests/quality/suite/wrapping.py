"""Markdown with its paragraphs and list items broken to a width; tables, headings, code and pictures stay as they are."""

from __future__ import annotations

import re
import textwrap

__all__ = ["wrapped"]

_MARK = re.compile(r"^(\s*)((?:[*-]|\d+\.)\s+)?")
_WHOLE = ("|", "#", "<", "![")  # how lines begin that are no running text


def wrapped(text: str, width: int = 108) -> str:
    """Break running text into lines of `width` characters; nothing but line breaks and indentation changes.

    Examples
    --------
    >>> print(wrapped("* one two three\\n  four\\n\\n| a | b |", 12))
    * one two
      three four
    <BLANKLINE>
    | a | b |
    """
    lines: list[str] = []
    paragraph: list[str] = []
    code = False

    def close() -> None:
        if paragraph:
            found = _MARK.match(paragraph[0])
            indent, mark = (found[1], found[2] or "") if found else ("", "")
            words = " ".join(line.strip() for line in paragraph).removeprefix(mark)
            after = indent + " " * len(mark)
            lines.extend(
                textwrap.wrap(
                    words,
                    width,
                    initial_indent=indent + mark,
                    subsequent_indent=after,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
            paragraph.clear()

    for line in text.split("\n"):
        bare = line.strip()
        fence = bare.startswith("```")
        if fence or code or not bare or bare.startswith(_WHOLE):
            close()
            lines.append(line)
            code ^= fence
            continue
        if (found := _MARK.match(line)) and found[2]:
            close()
        paragraph.append(line)
    close()
    return "\n".join(lines)
