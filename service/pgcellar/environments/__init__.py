"""The environment manager: spawners and their policy. Nothing else starts or stops a sandbox."""
