"""The control database: its server, its connections, its migrations, and windows that count.

No table of a service is read or written here; the one of `windows` is nobody's own.
"""
