"""The control database: its server, its connections, its migrations.

No table of a service is read or written here.
"""
