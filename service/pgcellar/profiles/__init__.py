"""User profiles: preferences, classes, and quotas with what is left of them.

Nothing here knows how somebody logged in, nor counts what a sandbox or a snapshot takes: who keeps
those says what they would come to.
"""
