"""psql's describing commands, by queries of ours: one module for each family of them.

`commands.find` gives what serves a command; `catalog` is how it reads, `pattern` what names mean.
"""
