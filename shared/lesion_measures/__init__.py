"""What can be measured of a lesion once its outline is known: size, asymmetry, border and colours."""
