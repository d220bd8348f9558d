"""The audit log: a record of who did what that is only ever added to, and shows if it was changed.

Nothing here runs or decides anything; acts are told to it. No other service is imported.
"""
