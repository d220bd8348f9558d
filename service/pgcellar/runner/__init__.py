"""The sql-runner: plans, binds and executes runs. It never starts a server nor clones a database itself."""
