"""The command ``check``, which polls the agents once and reports verdicts by lines and an exit code."""
