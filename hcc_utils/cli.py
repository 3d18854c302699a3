"""The `hcc` command."""
