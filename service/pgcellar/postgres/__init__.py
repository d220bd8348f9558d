"""PostgreSQL as a program: where its binaries are, and one server's life.

No SQL is spoken here, and nothing is known of sandboxes or of the control database.
"""
