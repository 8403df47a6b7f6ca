"""The commands of ``fl-server``, one file for each group."""
