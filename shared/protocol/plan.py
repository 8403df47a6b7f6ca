"""What a run asks of every clinic: the model, the preprocessing and the recipe, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, as the clinics need to know it.

    Attributes:
        model: the architecture.
        preprocess: how images are prepared; its image size is the model's.
        recipe: the local training.
        rounds: how many rounds the run has.
        class_counts: training images of each class over all clinics, in the order of the model's classes.
        seed: of everything random.
        threads: threads of the backend in each process; fixed, since it changes rounding.
    """

    model: ModelSettings
    preprocess: PreprocessSettings
    recipe: Recipe
    rounds: int
    class_counts: tuple[int, ...]
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise SettingsError(
                f"{self.rounds} rounds are too few", where="rounds", remedy="Ask for at least 1"
            )
        if self.preprocess.image_size != self.model.image_size:
            raise SettingsError("The model and the preprocessing differ in image size", where="image_size")
        if len(self.class_counts) != len(self.model.classes):
            raise SettingsError("The model and the class counts differ in length", where="class_counts")

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return {
            "model": self.model.to_dict(),
            "preprocess": self.preprocess.to_dict(),
            "recipe": self.recipe.to_dict(),
            "rounds": self.rounds,
            "class_counts": list(self.class_counts),
            "seed": self.seed,
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """The plan from :meth:`to_dict`; raises SettingsError on an unknown or impossible field."""
        try:
            parts = {
                "model": ModelSettings.from_dict(values["model"]),
                "preprocess": PreprocessSettings.from_dict(values["preprocess"]),
                "recipe": Recipe.from_dict(values["recipe"]),
                "class_counts": tuple(values["class_counts"]),
            }
            return cls(**{**values, **parts})
        except (TypeError, KeyError) as error:
            raise SettingsError(f"This is no plan: {error}", where="plan") from error
