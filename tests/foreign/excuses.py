"""What a statement may show that is nobody's promise, found by its text once it differs."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_EXCUSES = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"\bexplain\b|explain_\w+\s*\(", "plan"),
        (
            r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|current_date"
            r"|current_time|current_timestamp|localtime|localtimestamp)\b|'(now|today|tomorrow"
            r"|yesterday)'",
            "clock",
        ),
        # Of the files timestamp and timestamptz: rows that cells above wrote from the clock.
        (r"count\(distinct d1\)", "clock, through a table"),
        (r"\b(random\w*|gen_random_uuid|uuidv[47]|tablesample)\b", "random"),
        (r"\b(ctid|xmin|xmax|cmin|cmax)\b", "row versions"),
        (r"\b(tx?id_\w+|pg_current_xact\w*|pg_current_snapshot|pg_snapshot\w*|age)\b", "xids"),
        (r"\b\w*_lsn\b|\bpg_wal\w*", "LSN"),
        (r"\b(vacuum|analyze|cluster|reindex)\b[^;]*\bverbose\b", "row versions"),
        (r"\b(pg_backend_pid|pid)\b", "process"),
        (r"(?m)^\\set\s*$", "variables of psql's own"),
        (r"\bpg_(table|relation|total_relation|database|indexes|tablespace)_size\b", "sizes"),
        (r"\b(pg_relation_filepath|pg_relation_filenode|relfilenode)\b", "files"),
        (r"\b(reltuples|relpages|relallvisible|pg_stats\w*|pg_statistic\w*)\b", "statistics"),
        (r"\bpg_stat_?\w*|pg_locks\b", "activity"),
        (r"\bshow\s+all\b", "settings of the server"),
        (r"\bbrin_\w+\s*\(|\bgin_clean\w+", "pages"),
        (r"\b(current_database|current_catalog|pg_database|datname)\b|_catalog\b", "database name"),
        (r"\b(pg_roles|pg_authid|pg_user|rolname)\b", "roles"),
        (r"\bpg_(shmem|backend_memory|hba|ident|file_settings|config)\w*", "server"),
        (r"\b(inet_\w+_(addr|port)|data_directory|version)\b", "server"),
        (r"\boids?\b|::reg\w+::|tableoid\b|pg_get_object_address|\boid\b", "oid"),
        (r"\bquery_to_xml|table_to_xml|schema_to_xml|database_to_xml|cursor_to_xml", "row order"),
        (
            r"\b(array_agg|string_agg|json\w*_agg|xmlagg|first_value|last_value|row_number)\b",
            "row order",
        ),
        (r"\b(limit|fetch|offset|distinct\s+on)\b", "row order"),
    )
)


def excuse(text: str) -> str | None:
    """The reason for which a statement's result need not be the same again, if it names one."""
    code = _COMMENT.sub(" ", text)
    for pattern, reason in _EXCUSES:
        if pattern.search(code):
            return reason
    return None
