"""Files that are whole or absent, private files, locks, SQLite."""
