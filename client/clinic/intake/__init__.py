"""From the bytes that a clinic's node receives to pixels and clinical data; nothing else of them is used."""
