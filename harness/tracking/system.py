"""Use of processor, memory and GPU under the keys that MLflow's own page looks for.

Sampled in the mirror's thread; what the machine does not offer is left out.
"""

from collections.abc import Callable, Sequence

import psutil

Sampler = Callable[[], dict[str, float]]


def open_sampler(places: Sequence[int]) -> Sampler:
    """A function that returns the present values, by MLflow's metric names.

    `places` are the GPUs that this process may use: NVML shows all of the host.

    GPU use, memory and power come from NVML where `nvidia-ml-py` and a GPU are
    present; a value that a GPU does not offer is left out alone.
    """
    psutil.cpu_percent()  # the first call only sets the beginning of the first interval
    gpus = _gpus(places)

    def sample() -> dict[str, float]:
        memory = psutil.virtual_memory()
        values = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / 1e6,
            "system/system_memory_usage_percentage": memory.percent,
        }
        for gpu in gpus:
            values |= gpu()
        return values

    return sample


def _gpus(places: Sequence[int]) -> list[Sampler]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        return [_gpu(place) for place in places]
    except pynvml.NVMLError:
        return []


def _gpu(index: int) -> Sampler:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    readings: dict[str, Callable[[], float]] = {
        "utilization_percentage": lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        "memory_usage_megabytes": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6,
        "power_usage_watts": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
    }

    def sample() -> dict[str, float]:
        values = {}
        for name, read in readings.items():
            try:
                values[f"system/gpu_{index}_{name}"] = read()
            except pynvml.NVMLError:
                continue
        return values

    return sample
