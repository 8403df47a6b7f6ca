"""The last layer from sums alone: what pooled training of it gives, in one round."""
