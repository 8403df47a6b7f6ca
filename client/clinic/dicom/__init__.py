"""DICOM objects in, by C-STORE and STOW-RS, and answers sent back."""
