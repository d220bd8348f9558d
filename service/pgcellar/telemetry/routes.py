"""Names for routes: short, and as many as there are routes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNKNOWN = "unknown"
_GROUP = re.compile(r"\((?!\?)(?:[^()\[\]\\]|\\.|\[[^\]]*\])*\)")


class Routes:
    """The templates of some routes' patterns."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._found = [(re.compile(pattern), template(pattern)) for pattern in patterns]

    def of(self, path: str) -> str:
        """The template of the route that a path has."""
        for pattern, name in self._found:
            if pattern.fullmatch(path):
                return name
        return UNKNOWN


def template(pattern: str) -> str:
    """A route's pattern with its groups as `{}`, as in `/runs/{}/cancel`."""
    return _GROUP.sub("{}", pattern).replace("\\", "").rstrip("$")
