"""The lesion classifier: its architecture, its weights as a flat vector, and its file."""
