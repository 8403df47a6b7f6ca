"""FedProx's proximal term (Li et al. 2020, arXiv:1812.06127, eq. 2)."""

from __future__ import annotations

from typing import Any

import keras

from dermafed.shared.model.classifier import logits_model


class ProximalModel(keras.Model):  # type: ignore[misc]
    """A classifier up to its logits, whose loss adds (mu / 2) ||w - w_0||^2.

    w are the trainable weights and w_0 the global ones that the round started from. With
    mu = 0 no anchor is kept and the loss is the plain one.
    """

    def __init__(self, classifier: keras.Model, mu: float) -> None:
        network = logits_model(classifier)
        super().__init__(network.input, network.output, name="proximal")
        self.mu = mu
        weights = self.trainable_variables if mu else []
        # Zeros, since a Keras variable made of another's value shares its memory.
        self.anchor = [
            keras.Variable(keras.ops.zeros(w.shape), trainable=False, name="anchor") for w in weights
        ]

    def set_anchor(self) -> None:
        """Takes the present weights as w_0."""
        for anchor, weight in zip(self.anchor, self.trainable_variables if self.mu else [], strict=True):
            anchor.assign(weight.value)

    def compute_loss(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        """The loss of Keras' ``compile`` plus the proximal term."""
        loss = super().compute_loss(*args, **kwargs)
        pairs = zip(self.trainable_variables, self.anchor, strict=True) if self.mu else ()
        return loss + sum(0.5 * self.mu * keras.ops.sum(keras.ops.square(w - a)) for w, a in pairs)
