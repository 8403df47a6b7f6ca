"""DermaFed: federated classification of skin lesions. Research use only."""
