"""The gateway: a Jupyter Server extension over the services (issue 4). No SQL logic here."""
