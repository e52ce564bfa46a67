"""The command line: options to settings, terminal, exit codes."""
