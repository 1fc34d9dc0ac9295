"""Published numbers and targets as data: `baselines/*.toml`, read and validated."""

from harness.baselines.loading import Baselines, load_baselines, load_target

__all__ = ["Baselines", "load_baselines", "load_target"]
