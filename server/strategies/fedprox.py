"""FedProx: FedAvg whose clinics are held near the global model.

Li et al. 2020, Federated Optimization in Heterogeneous Networks, https://arxiv.org/abs/1812.06127
"""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.server.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedProx(FedAvg):
    """Algorithm 2 of the paper: the trainer adds (mu / 2) * ||w - w0||**2 to its loss.

    Attributes:
        proximal_mu: mu >= 0; 0 is FedAvg.
    """

    proximal_mu: float = 0.01

    def instructions(self) -> dict[str, float]:
        """Tell the trainers mu."""
        return {"proximal_mu": self.proximal_mu}
