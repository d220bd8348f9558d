"""The sql-runner: plans, binds and executes runs. It starts no server and clones nothing."""
