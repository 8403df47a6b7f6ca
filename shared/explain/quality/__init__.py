"""How good an explanation is, measured without asking a human.

Each measure is a small function over a map and a way to predict, written from its paper. Libraries that have
them were looked at: Quantus (GPL-3, requires the full OpenCV, and only TensorFlow models of ``tf.keras``) and
Xplique (asks for TensorFlow 2.15 or older, so no Keras 3) fit neither this project's licence nor its models.
"""
