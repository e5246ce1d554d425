"""Text for people, in lines of JSON and on a terminal."""

from __future__ import annotations

import re

# What a terminal takes for colours, links and the like.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROLS_WITHIN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")


def one_line(text: str, limit: int) -> str:
    """One line without colours and control characters, of at most so many characters."""
    return _cut(_CONTROLS.sub(" ", _ESCAPES.sub("", text)).strip(), limit)


def lines(text: str, limit: int) -> str:
    """The same, but its lines and tabs stay."""
    return _cut(_CONTROLS_WITHIN_LINES.sub("", _ESCAPES.sub("", text)).strip(), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
