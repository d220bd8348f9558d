"""psql's meta-commands as they are typed: which there are, and what may stand behind each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Argument = Literal["table", "view", "function", "type", "schema", "setting", "any", "variable", ""]

#: Each with what it does, in a few words, and what its first argument names.
COMMANDS: Mapping[str, tuple[str, Argument]] = {
    "\\?": ("help on meta-commands", ""),
    "\\base": ("begin from another notebook", ""),
    "\\c": ("begin a new session", ""),
    "\\chart": ("draw the rows of the query before it", ""),
    "\\conninfo": ("about the connection", ""),
    "\\copy": ("load or save a file beside the notebook", "table"),
    "\\crosstabview": ("send the query, show its result as a crosstab", ""),
    "\\d": ("list or describe tables, views, sequences", "any"),
    "\\d+": ("describe with more", "any"),
    "\\da": ("list aggregates", "function"),
    "\\dC": ("list casts", "type"),
    "\\dconfig": ("list settings", "setting"),
    "\\dD": ("list domains", "type"),
    "\\dd": ("list comments of objects", ""),
    "\\ddp": ("list default privileges", ""),
    "\\des": ("list foreign servers", ""),
    "\\df": ("list functions", "function"),
    "\\df+": ("list functions with more", "function"),
    "\\dg": ("list roles", ""),
    "\\di": ("list indexes", ""),
    "\\dl": ("list large objects", ""),
    "\\dL": ("list languages", ""),
    "\\dm": ("list materialized views", "view"),
    "\\dn": ("list schemas", "schema"),
    "\\dn+": ("list schemas with more", "schema"),
    "\\do": ("list operators", ""),
    "\\dO": ("list collations", ""),
    "\\dp": ("list privileges", "any"),
    "\\dP": ("list partitioned tables", "table"),
    "\\drds": ("list settings of roles and databases", ""),
    "\\dRp": ("list publications", ""),
    "\\dRs": ("list subscriptions", ""),
    "\\ds": ("list sequences", ""),
    "\\dS": ("list system tables", "any"),
    "\\dt": ("list tables", "table"),
    "\\dt+": ("list tables with more", "table"),
    "\\dT": ("list types", "type"),
    "\\du": ("list roles", ""),
    "\\dv": ("list views", "view"),
    "\\dv+": ("list views with more", "view"),
    "\\dx": ("list extensions", ""),
    "\\dX": ("list extended statistics", ""),
    "\\dy": ("list event triggers", ""),
    "\\echo": ("write text", ""),
    "\\elif": ("another branch", ""),
    "\\else": ("the last branch", ""),
    "\\encoding": ("client encoding", ""),
    "\\endif": ("end of a conditional block", ""),
    "\\errverbose": ("the last error in full", ""),
    "\\ev": ("edit a view", "view"),
    "\\explain": ("show the plan of the query before it", ""),
    "\\g": ("send the query", ""),
    "\\gdesc": ("describe the query's result without running it", ""),
    "\\gexec": ("send the query, then run each value of its result", ""),
    "\\gset": ("send the query, keep its result in variables", ""),
    "\\gx": ("send the query, show its result expanded", ""),
    "\\h": ("syntax of SQL commands", ""),
    "\\i": ("run a file", ""),
    "\\if": ("begin a conditional block", ""),
    "\\ir": ("run a file, relative to this one", ""),
    "\\l": ("list databases", ""),
    "\\p": ("show the query buffer", ""),
    "\\pset": ("set how results are shown", ""),
    "\\qecho": ("write text to the output", ""),
    "\\r": ("clear the query buffer", ""),
    "\\set": ("set a variable", "variable"),
    "\\sf": ("show a function's definition", "function"),
    "\\sv": ("show a view's definition", "view"),
    "\\timing": ("show how long statements take", ""),
    "\\unset": ("unset a variable", "variable"),
    "\\warn": ("write text to the errors", ""),
    "\\x": ("expanded output", ""),
    "\\z": ("list privileges", "any"),
}


def argument(name: str) -> Argument:
    """What the first argument of a command names."""
    found = COMMANDS.get(name) or COMMANDS.get(name.rstrip("+Sx"))
    return found[1] if found is not None else ""
