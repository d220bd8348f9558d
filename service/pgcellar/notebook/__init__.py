"""Pure: cells, statements, effects, canonical text, state ids, plans. No I/O in here."""
