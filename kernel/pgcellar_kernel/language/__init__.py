"""SQL as it is being typed: half a statement, read with what its names may mean. Pure: no I/O.

What a statement *does* is the runner's to say, by PostgreSQL's own grammar; here is only guessed
what a person may want to write or know next, and a wrong guess costs nothing.
"""
