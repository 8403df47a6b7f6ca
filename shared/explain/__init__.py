"""Explanations: Score-CAM and its family, for any Keras classifier with a convolutional layer."""
