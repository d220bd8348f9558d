"""Pure: cells, statements, effects, canonical text, state ids, plans. No I/O of any kind in here."""
