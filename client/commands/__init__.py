"""The commands of ``fl-client``, a file for each group."""
