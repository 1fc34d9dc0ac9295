"""The roofline of a network, layer by layer: what bounds each of them on this machine."""

from dataclasses import asdict, dataclass
from typing import Any

from harness.measure.operations import FLOPS_PER_MULTIPLY_ADD, Operation
from harness.measure.peaks import Peaks


@dataclass(frozen=True)
class LayerBound:
    """One convolution or matrix product of a forward pass.

    Attributes:
        name: The layer.
        kernel: Shape of its kernel.
        output: Shape of its output for one image.
        multiply_adds: For one image.
        intensity: Floating-point operations for each byte moved.
        bound_s: Least seconds for the whole batch.
        bounded_by: `compute` or `memory`.
    """

    name: str
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    multiply_adds: int
    intensity: float
    bound_s: float
    bounded_by: str


@dataclass(frozen=True)
class LayerTable:
    """All layers, with the machine they are held against."""

    model: str
    batch: int
    peaks: Peaks
    layers: tuple[LayerBound, ...]

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {"benchmark": "layers", **asdict(self)}

    def text(self) -> str:
        """A table for a person."""
        gemm, copy = self.peaks.gemm_flops_per_s / 1e9, self.peaks.copy_bytes_per_s / 1e9
        peaks = f"{gemm:.0f} GFLOP/s in a matrix product, {copy:.1f} GB/s in a copy"
        columns = f"{'M mult-adds':>13}{'FLOP/byte':>11}{'bound, ms':>11}  by"
        lines = [
            f"{self.model}, batch {self.batch}, forward pass; {peaks}",
            f"{'layer':28}{'kernel':>18}{'output':>16}{columns}",
        ]
        for layer in self.layers:
            kernel, output = ("x".join(map(str, shape)) for shape in (layer.kernel, layer.output))
            lines.append(
                f"{layer.name:28}{kernel:>18}{output:>16}{layer.multiply_adds / 1e6:13.1f}"
                f"{layer.intensity:11.1f}{1e3 * layer.bound_s:11.2f}  {layer.bounded_by}"
            )
        total = 1e3 * sum(layer.bound_s for layer in self.layers)
        adds = sum(layer.multiply_adds for layer in self.layers) / 1e6
        return "\n".join([*lines, f"{'all':62}{adds:13.1f}{'':11}{total:11.2f}"])


def bench_layers(
    model: str, image_size: int, batch: int, *, classes: int = 1000, channels: int = 3
) -> LayerTable:
    """Count a network's layers and measure this machine's peaks."""
    from harness.measure.operations import count_operations
    from harness.measure.peaks import measure_peaks
    from harness.models.build import build_model
    from harness.recipes.recipe import Model

    spec = Model(name=model, image_size=image_size)
    network = build_model(spec, classes=classes, seed=0, channels=channels)
    peaks = measure_peaks(seconds=1.0)
    layers = tuple(layer_bound(op, batch, peaks) for op in count_operations(network, image_size))
    return LayerTable(model, batch, peaks, layers)


def layer_bound(operation: Operation, batch: int, peaks: Peaks) -> LayerBound:
    """The roofline of one layer (Williams, Waterman and Patterson 2009, CACM 52(4))."""
    flops = FLOPS_PER_MULTIPLY_ADD * operation.multiply_adds * batch
    moved = operation.activation_bytes * batch + operation.weight_bytes
    compute_s, memory_s = flops / peaks.gemm_flops_per_s, moved / peaks.copy_bytes_per_s
    return LayerBound(
        name=operation.name,
        kernel=operation.kernel,
        output=operation.output,
        multiply_adds=operation.multiply_adds,
        intensity=flops / moved,
        bound_s=max(compute_s, memory_s),
        bounded_by="compute" if compute_s >= memory_s else "memory",
    )
