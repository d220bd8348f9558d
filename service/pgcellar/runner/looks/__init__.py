"""Looks at states that are kept: what is in them, and what two differ in. Nothing here writes."""
