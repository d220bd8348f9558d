"""PostgreSQL as a program: where its binaries are, and one server's life. No SQL beyond what starting needs."""
