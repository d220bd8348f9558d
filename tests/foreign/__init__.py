"""SQL that none of us wrote, run through pgcellar and held against psql.

    python -m tests.foreign [--regress DIR] [--folder DIR] [--extensions] [--pgbench] [--json FILE]

Nothing of the files is kept in the repository: they are read where they lie. What is done with one:

*Cut.* A cutter of its own (`cutting`, not the product's) cuts at psql's statement boundaries and
leaves the text between as it is, comments included. `COPY … FROM stdin` with rows below it becomes
`\\copy … from 'FILE'`, since notebooks have no standard input; so does `COPY … FROM :'filename'`.

*Screened.* Files like these are full of statements that are meant to fail, and the oracle starts
over for every cell that does. So psql first runs the pieces one by one without stopping; those that
fail outside of a transaction are taken out, and it is run again, until none does. What the product
says beforehand that it refuses, and psql's other meta-commands, are taken out as well. What is left
is grouped into cells of one to five pieces, by the seed. No cell of the notebook fails but in an
open transaction, where that is part of the state, so a single run of psql gives the outcome of each
cell for all heads of all orders. The rest are *extras*: they are run as heads at the place where
they stood, sometimes with the cell above them in the same cell, which must then leave no trace; and
are never in a tail.

*Run three ways*, each in a notebook of its own: every cell from the top, with the extras; every
cell in random order; and random edits (change, insert, delete, move, merge, split), after each of
which the edited cell, one below and the last are run. After each way the whole database is
compared. The first two take turns in going first, so that each meets an empty cache in half of the
files.

*Compared* are rows as multisets, columns, tags, notices, and errors by SQLSTATE. What differs is
looked at again: where two runs of psql differ from one another too, or where a statement shows what
is nobody's promise (plans, OIDs, sizes, paths), it counts as not comparable, with the reason. So a
volatile function whose value happens to agree counts as the same, and nothing is excused unseen.

A refusal (`PC…`) counts as refused. Where a cell of the notebook is refused or differs, those below
would fall with it: its pieces are taken out and the file is begun again.
"""
