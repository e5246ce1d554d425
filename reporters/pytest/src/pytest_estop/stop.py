"""Who stopped the run, and why."""

from __future__ import annotations

import json
from pathlib import Path

from .text import one_line

_LONGEST = 500


def stopped_by(path: str) -> str | None:
    """What `estop run` wrote to the file that `ESTOP_STOP` names before it sent SIGINT; None if nobody stopped it."""
    try:
        stop = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(stop, dict) or not isinstance(stop.get("by"), str):
        return None
    by = one_line(stop["by"], _LONGEST)
    reason = one_line(stop["reason"], _LONGEST) if isinstance(stop.get("reason"), str) else ""
    return f"stopped by {by}: {reason}" if reason else f"stopped by {by}"
