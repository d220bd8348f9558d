"""Random SQL statements for the generated notebooks, by an author who roughly knows what exists.

Few names are shared by everything, so that statements meet: tables collide, views hang on tables,
functions write to them. What the author knows is rough on purpose; where it is wrong a cell fails,
and that is a test too. Nothing here depends on the clock, on chance, on the order of a scan or on
a plan: several runs of the same statements must give the same rows, sequence values and errors.

`model` is what the author believes to exist, `author` makes the choices, every other module writes
about one topic, and `writing` chooses among them.
"""
