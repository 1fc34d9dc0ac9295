"""`harness evaluate`: imported weights under one or several protocols, image by image."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
from harness.errors import UsageError
from harness.frozen import digest_of
from harness.models.catalogue import describe
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.progress import SILENT, Progress
from harness.recipes.normalisations import normalisation_name
from harness.recipes.protocol import Normalisation, Protocol
from harness.recipes.protocol_catalogue import find_protocol, with_fields
from harness.recipes.recipe import Numerics, Precision
from harness.record.predictions import predictions_table, write_predictions
from harness.record.run_folder import write_json
from harness.record.schema import DataIdentity, EffectiveNumerics
from harness.system.folders import try_folder
from harness.weights.description import Order
from harness.weights.source import Imported, import_weights

if TYPE_CHECKING:
    from harness.data.dataset import Split
    from harness.evaluation.result import EvaluationResult

DOCUMENT = "evaluation.json"
DOCUMENT_VERSION = 1


@dataclass(frozen=True)
class EvaluationRequest:
    """One `harness evaluate`.

    Attributes:
        weights: A file, a checkpoint or run folder, or `imagenet`.
        model_name: The network; found out where None.
        normalisation: Of the weights, where the file does not say.
        class_order: Of the weights, where the file does not say.
        data: A prepared folder, or one in ImageNet's layout.
        protocols: Names, each once.
        settings: Fields of the protocols that are replaced.
        runs: Holds the manifests of plain data folders, and evaluations.
        out: Where predictions and the document go; None makes a folder in `runs`
            for the network, the weights, the data, and whatever else decides the
            answer: protocols, description and limit.
        crops_per_batch: Crops that go through the network at once.
        limit: At most this many images, a fixed random draw of all classes.
        numerics: Threads, oneDNN, op determinism.
    """

    weights: str
    data: Path
    protocols: tuple[str, ...]
    runs: Path
    out: Path | None = None
    model_name: str | None = None
    normalisation: Normalisation | None = None
    class_order: Order | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    crops_per_batch: int = 64
    limit: int | None = None
    numerics: Numerics = field(default_factory=Numerics)


@dataclass(frozen=True)
class Evaluated:
    """One protocol's answer and where its predictions are."""

    result: "EvaluationResult"
    predictions_file: Path
    predictions_digest: str


@dataclass(frozen=True)
class EvaluationReport:
    """What `harness evaluate` found."""

    imported: Imported
    data: DataIdentity
    class_order: str
    numerics: EffectiveNumerics
    evaluated: tuple[Evaluated, ...]
    out: Path

    def document(self) -> dict[str, Any]:
        """As JSON-like data; accuracies are fractions."""
        return {
            "schema_version": DOCUMENT_VERSION,
            "harness_version": harness.__version__,
            "model": self.imported.model_name,
            "weights": {
                "source": self.imported.weights.source,
                "format": self.imported.weights.format,
                "sha256": self.imported.weights.sha256,
                "description": self.imported.description.model_dump(mode="json"),
            },
            "data": self.data.model_dump(mode="json"),
            "class_order": self.class_order,
            "numerics": self.numerics.model_dump(mode="json"),
            "numerics_digest": self.numerics.digest,
            "evaluations": [_entry(one) for one in self.evaluated],
        }

    def text(self) -> str:
        """A few lines for a person."""
        known = self.imported.description
        lines = [
            f"{self.imported.model_name}, weights {self.imported.weights.source}",
            f"  input {normalisation_name(known.normalisation)}",
            f"  classes in {known.class_order} order, reported in {self.class_order} order",
        ]
        for one in self.evaluated:
            r = one.result
            drawn = " (a fixed random draw of all classes)" if r.images < r.images_in_split else ""
            lines.append(
                f"{r.protocol.name:12} top-1 {100 * r.top1_correct / r.images:6.2f} %   "
                f"top-5 {100 * r.top5_correct / r.images:6.2f} %   "
                f"{r.images} of {r.images_in_split} images{drawn}   {r.duration_s:.1f} s   "
                f"protocol {r.protocol.digest[:8]}"
            )
        lines.append(f"predictions and {DOCUMENT} in {self.out}")
        return "\n".join(lines)


def evaluate_weights(request: EvaluationRequest, progress: Progress = SILENT) -> EvaluationReport:
    """Evaluate weights and write predictions and the document.

    Raises:
        WeightsError: the weights cannot be used.
        DataError: the data cannot be used, or its classes are unknown to the network.
        UsageError: a protocol is unknown, named twice or contradicts itself.
    """
    try_folder(request.runs)
    set_import_flags(request.numerics)
    imported = import_weights(
        request.weights,
        model_name=request.model_name,
        normalisation=request.normalisation,
        class_order=request.class_order,
    )
    protocols = requested_protocols(request.protocols, dict(request.settings), imported)
    precision = imported.recipe.precision if imported.recipe else Precision()
    numerics = resolved(request.numerics)
    with progress.work("starting TensorFlow"):
        pin_runtime(numerics, precision)

    from harness.data.opening import open_dataset
    from harness.evaluation.class_mapping import labels_for, result_order
    from harness.measure.environment import effective_numerics

    data = open_dataset(request.data, manifests=request.runs / "datasets", progress=progress)
    split = replace(data.val, labels=labels_for(data, imported.description))
    results = _results(request, imported, protocols, split, progress)
    order = result_order(imported.description)
    out = request.out or default_folder(request, imported, protocols, data.identity)
    out.mkdir(parents=True, exist_ok=True)
    report = EvaluationReport(
        imported=imported,
        data=data.identity,
        class_order=order,
        numerics=effective_numerics(numerics, precision),
        evaluated=tuple(
            _written(result, imported, data.identity, order, out) for result in results
        ),
        out=out,
    )
    write_json(out / DOCUMENT, report.document())
    return report


def default_folder(
    request: EvaluationRequest,
    imported: Imported,
    protocols: tuple[Protocol, ...],
    data: DataIdentity,
) -> Path:
    """A folder that no evaluation under other settings shares."""
    settings = digest_of(
        {
            "protocols": [[protocol.name, protocol.digest] for protocol in protocols],
            "description": imported.description.model_dump(mode="json"),
            "limit": request.limit,
        }
    )
    digests = imported.weights.sha256, data.root_digest, settings
    marks = imported.model_name, *(digest[:8] for digest in digests)
    return request.runs / "evaluations" / "-".join(marks)


def _results(
    request: EvaluationRequest,
    imported: Imported,
    protocols: tuple[Protocol, ...],
    split: "Split",
    progress: Progress,
) -> "list[EvaluationResult]":
    """Evaluate, with one pass for protocols of one geometry; in the order asked for."""
    from harness.evaluation.class_mapping import move_head_to_wordnet_order
    from harness.evaluation.evaluate import evaluate_together
    from harness.evaluation.passes import shared_passes

    model = imported.model(imported.recipe.precision if imported.recipe else None)
    move_head_to_wordnet_order(model, imported.description)
    results: dict[str, EvaluationResult] = {}
    for group in shared_passes(protocols):
        title = f"evaluating {' and '.join(p.name for p in group)}"
        with progress.work(title, unit="images") as work:
            found = evaluate_together(
                model,
                split,
                group,
                crops_per_batch=request.crops_per_batch,
                limit=request.limit,
                weights_source=imported.weights.source,
                progress=work.update,
            )
        results |= {result.protocol.name: result for result in found}
    return [results[protocol.name] for protocol in protocols]


def requested_protocols(
    names: tuple[str, ...], settings: dict[str, Any], imported: Imported
) -> tuple[Protocol, ...]:
    """The protocols by name, with the weights' normalisation and the options' settings.

    Weights from a run take the run's own protocol of that name; others the
    reference's, at the image size for which the network's accuracy is published.

    Raises:
        UsageError: unknown, named twice, or a setting that does not fit.
    """
    if len(set(names)) != len(names) or not names:
        raise UsageError(
            f"protocols were named {len(names)} times, {len(set(names))} different ones",
            expected="each protocol once, at least one",
            remedy="name each once; different settings are different commands",
        )
    own = imported.recipe.protocols() if imported.recipe else {}
    return tuple(_requested(own.get(name), name, settings, imported) for name in names)


def _requested(
    own: Protocol | None, name: str, settings: dict[str, Any], imported: Imported
) -> Protocol:
    base = find_protocol(name) if own is None else own
    fields: dict[str, Any] = {"normalisation": imported.description.normalisation.model_dump()}
    model = describe(imported.model_name)
    if own is None and base.crop_size not in (None, model.image_size):
        fields |= {"crop_size": model.image_size, "short_sides": (model.short_side,)}
    if base.crops == "full":
        settings = {k: v for k, v in settings.items() if k != "crop_size"}
        if len(settings.get("short_sides", ())) == 1:
            # One short side is meant for the crops named beside this protocol.
            settings = {k: v for k, v in settings.items() if k != "short_sides"}
    return with_fields(base, fields | settings)


def _written(
    result: "EvaluationResult",
    imported: Imported,
    data: DataIdentity,
    class_order: str,
    out: Path,
) -> Evaluated:
    path = out / f"predictions-{result.protocol.name}.parquet"
    table = predictions_table(
        list(result.image_ids),
        result.labels,
        result.top5_class,
        result.top5_probability,
        {
            "protocol": result.protocol.model_dump_json(),
            "data_root": data.root_digest,
            "weights": imported.weights.sha256,
            "class_order": class_order,
        },
    )
    return Evaluated(result, path, write_predictions(table, path))


def _entry(one: Evaluated) -> dict[str, Any]:
    result = one.result
    return {
        "protocol": result.protocol.model_dump(mode="json"),
        "protocol_digest": result.protocol.digest,
        "images": result.images,
        "images_in_split": result.images_in_split,
        "top1_correct": result.top1_correct,
        "top5_correct": result.top5_correct,
        "top1_accuracy": result.top1_correct / result.images,
        "top5_accuracy": result.top5_correct / result.images,
        "duration_s": result.duration_s,
        "crops": result.crops,
        "predictions_file": one.predictions_file.name,
        "predictions_digest": one.predictions_digest,
    }
