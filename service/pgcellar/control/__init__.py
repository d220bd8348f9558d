"""The control database: connection pool and migrations. No table of a service is read or written here."""
