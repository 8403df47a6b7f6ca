"""NVFlare's keeper of the server's model, which also adds a line to a file at the start and after each round.

NVFlare copies this file to the server.
"""

from pathlib import Path
from typing import Any

from nvflare.app_common.np.np_model_persistor import NPModelPersistor


class MarkingPersistor(NPModelPersistor):
    """Reads the first weights from a file."""

    def __init__(self, weights: str, marks: str) -> None:
        super().__init__(source_ckpt_file_full_name=weights)
        self.weights, self.marks = weights, marks

    def load_model(self, fl_ctx: Any) -> Any:
        """Called before the first round."""
        self._mark()
        return super().load_model(fl_ctx)

    def save_model(self, model_learnable: Any, fl_ctx: Any) -> None:
        """Called at the end of each round."""
        super().save_model(model_learnable, fl_ctx)
        self._mark()

    def _mark(self) -> None:
        with Path(self.marks).open("a") as file:
            file.write("\n")
