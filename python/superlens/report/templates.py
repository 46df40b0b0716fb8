"""The templates of the pages: ``shell`` is what every page has, ``blocks`` are its repeated parts, the others are pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from superlens.errors import worded
from superlens.report.words import number

__all__ = ["template"]


@cache
def template(name: str) -> jinja2.Template:
    """A page by its file name; every text that is put into it is escaped, and a missing value is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = _plain
    environment.filters["sentence"] = _capitalised
    environment.filters["number"] = number
    return environment.get_template(name)


def _plain(text: str) -> str:
    """A message in which parameters go by their plain names, since a page belongs to no door."""
    return worded(text, str)


def _capitalised(text: str) -> str:
    """A text with its first letter large, and the rest as it is."""
    return text[:1].upper() + text[1:]
