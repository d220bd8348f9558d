"""The idp: accounts, the ways of logging in, and the tokens that services take.

No quotas or classes here, nor anything else about what somebody may use: that is the profiles'.
Without this package the embedded service knows the operating system's user, and nobody else.
"""
