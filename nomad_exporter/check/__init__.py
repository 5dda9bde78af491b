"""The command ``check``: asks the agents themselves, once, and tells by lines and an exit code how they are."""
