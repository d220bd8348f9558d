"""Which cells depend on which: what each reads and writes, and the graph of that. Pure.

`objects` are what it is told in; `uses` reads them off a statement (with `queries`, `tables`,
`definitions`, `commands`, `functions` and `bodies`), `reading` off a cell, and `graphs` draws the
edges; `columns` labels them, `showing` prints them. Whatever of a cell can't be understood may read
and write anything. Nothing in here decides what runs: states do that.
"""
