"""Metrics, logs and traces: what an operator sees of a service.

Nothing here decides anything, and nothing that is told apart by user, notebook or run is counted:
labels take values from short lists only. No other service is imported.
"""
