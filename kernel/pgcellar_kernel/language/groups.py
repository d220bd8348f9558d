"""Tokens in their brackets: a tree, in which a bracket that is still open reaches to the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from pgcellar_kernel.language import tokens

#: Deeper brackets are not told apart: what is written by hand is not nested as deep.
MAX_DEPTH = 60


@dataclasses.dataclass(slots=True, eq=False)
class Group:
    """What stands in a pair of parentheses, from behind the first to the beginning of the other."""

    start: int
    end: int
    items: list[Item] = dataclasses.field(default_factory=list)

    def holds(self, cursor: int) -> bool:
        """Whether a cursor stands in it."""
        return self.start <= cursor <= self.end


Item = tokens.Token | Group


def tree(found: Iterable[tokens.Token]) -> Group:
    """All tokens as one group, which has no end."""
    root = Group(0, _FAR)
    open_groups = [root]
    skipped = 0
    for token in found:
        if token.text == "(" and token.kind == "operator":
            if len(open_groups) > MAX_DEPTH:
                skipped += 1
                continue
            group = Group(token.end, _FAR)
            open_groups[-1].items.append(group)
            open_groups.append(group)
        elif token.text == ")" and token.kind == "operator":
            if skipped:
                skipped -= 1
            elif len(open_groups) > 1:
                open_groups.pop().end = token.start
        else:
            open_groups[-1].items.append(token)
    return root


_FAR = 1 << 62


def chain(root: Group, cursor: int) -> list[Group]:
    """The groups that a cursor stands in, the innermost last."""
    found = [root]
    while True:
        inner = next(
            (item for item in found[-1].items if isinstance(item, Group) and item.holds(cursor)),
            None,
        )
        if inner is None:
            return found
        found.append(inner)


def word(item: Item | None) -> str:
    """A word in capitals, an operator as it is, `()` for a group, and otherwise something else."""
    if item is None:
        return ""
    if isinstance(item, Group):
        return "()"
    return item.upper if item.kind in ("word", "operator") else f"<{item.kind}>"


def split(items: Sequence[Item], *, at: str = ",") -> list[list[Item]]:
    """The items between commas."""
    parts: list[list[Item]] = [[]]
    for item in items:
        if isinstance(item, tokens.Token) and item.kind == "operator" and item.text == at:
            parts.append([])
        else:
            parts[-1].append(item)
    return parts


def dotted(items: Sequence[Item], begin: int) -> tuple[tuple[str, ...], int]:
    """The name `a.b.c` at an index, and the index behind it; empty where there is no name."""
    parts: list[str] = []
    index = begin
    while index < len(items):
        item = items[index]
        name = item.identifier if isinstance(item, tokens.Token) else None
        if name is None:
            break
        parts.append(name)
        index += 1
        if index < len(items) and word(items[index]) == ".":
            index += 1
            continue
        break
    return tuple(parts), index
