"""Plans as PostgreSQL's EXPLAIN gives them, analysed, compared and drawn. Pure: no I/O in here."""
