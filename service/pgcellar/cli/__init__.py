"""The command line. It asks the service for everything; no SQL and no server in here."""
