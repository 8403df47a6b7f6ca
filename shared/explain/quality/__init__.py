"""Quality of explanations, measured without a human reader.

Each measure is a small function of a map and a predict function, written from its paper. Of the libraries
that have them, Quantus (GPL-3, requires the full OpenCV, and only TensorFlow models of ``tf.keras``) and
Xplique (asks for TensorFlow 2.15 or older, so no Keras 3) fit neither this project's licence nor its models.
"""
