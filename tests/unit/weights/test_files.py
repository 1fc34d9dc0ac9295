"""Weight files of every format, whole and broken. Arrays are zeros, compressed, to be small."""

import io
import pickle
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from harness.errors import WeightsError
from harness.models.build import build_model
from harness.models.catalogue import table_of
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.recipe import Model
from harness.weights.description import WeightsDescription, describe_weights
from harness.weights.export import export_weights, write_legacy
from harness.weights.files import WeightArrays, read_weight_file
from harness.weights.matching import assign_weights, check_fits, fitting_models

# Keras' own saving calls NumPy in the manner of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAME = "apm5-resnet18-v2"
DESCRIPTION = WeightsDescription(
    normalisation=NORMALISATIONS["apm5"], class_order="folder", classes=10
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build_model(Model(name=NAME, image_size=32), classes=10, seed=4)


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare legacy file of 10 classes."""
    path = tmp_path_factory.mktemp("weights") / "bare.h5"
    table = table_of(NAME, 10)
    write_legacy(path, table, {v.path: np.zeros(v.shape, np.float32) for v in table})
    return path


def arrays_of(name: str, classes: int, format_: str = "legacy_h5") -> WeightArrays:
    arrays = {v.path: np.broadcast_to(np.float32(0), v.shape) for v in table_of(name, classes)}
    return WeightArrays("somewhere.h5", format_, "0" * 64, arrays)


@pytest.mark.parametrize("file_name", ["a.h5", "a.weights.h5"])
def test_what_is_exported_is_imported_with_its_description(
    model: keras.Model, tmp_path: Path, file_name: str
) -> None:
    export_weights(model, NAME, DESCRIPTION, tmp_path / file_name)
    weights = read_weight_file(tmp_path / file_name)
    assert describe_weights(weights, NAME) == DESCRIPTION
    assert list(tmp_path.iterdir()) == [tmp_path / file_name]
    other = build_model(Model(name=NAME, image_size=32), classes=10, seed=5)
    assign_weights(other, weights)
    for mine, theirs in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_name_that_is_no_format_is_refused(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"\.pt is no format"):
        export_weights(model, NAME, DESCRIPTION, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


def test_keras_itself_reads_what_is_exported(model: keras.Model, tmp_path: Path) -> None:
    export_weights(model, NAME, DESCRIPTION, tmp_path / "a.weights.h5")
    other = build_model(Model(name=NAME, image_size=32), classes=10, seed=5)
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(other.variables[0], model.variables[0])


def test_a_keras_archive_is_read_without_building_what_is_in_it(
    model: keras.Model, tmp_path: Path
) -> None:
    model.save(tmp_path / "a.keras")
    weights = read_weight_file(tmp_path / "a.keras")
    assert weights.format == "keras_archive"
    check_fits(NAME, 10, weights)
    for variable in model.variables:
        np.testing.assert_array_equal(weights.arrays[variable.path], variable)


def test_a_legacy_file_lists_layers_as_the_reference_does(legacy: Path) -> None:
    with h5py.File(legacy) as file:
        layers = [name.decode() for name in file.attrs["layer_names"]]
        names = [name.decode() for name in file["conv2_0"].attrs["weight_names"]]
    assert layers[:2] == ["conv0", "conv1_0"]
    assert layers[-3:] == ["bn", "global_average_pooling2d", "fully_connected"]
    assert names[:3] == [
        "conv2_0/projection/kernel:0", "conv2_0/conv_0/kernel:0", "conv2_0/conv_1/kernel:0",
    ]  # fmt: skip
    assert names[-4:] == [
        "conv2_0/bn_0/moving_mean:0", "conv2_0/bn_0/moving_variance:0",
        "conv2_0/bn_1/moving_mean:0", "conv2_0/bn_1/moving_variance:0",
    ]  # fmt: skip


def test_a_file_says_which_models_it_fits() -> None:
    weights = arrays_of("apm5-resnet18-v1", 1000)
    assert fitting_models(weights.shapes) == ("apm5-resnet18-v1", "apm5-resnet18-v1-2019")
    with pytest.raises(WeightsError, match="fits apm5-resnet18-v1, apm5-resnet18-v1-2019") as error:
        check_fits("apm5-resnet50-v2", 1000, weights)
    assert "missing: bn/beta" not in str(error.value)
    assert "conv1_0.conv_0/kernel (3, 3, 64, 64) instead of (1, 1, 64, 64)" in str(error.value)


def test_missing_surplus_and_misshapen_arrays_are_named(model: keras.Model) -> None:
    weights = arrays_of(NAME, 10)
    weights.arrays["extra/kernel"] = weights.arrays.pop("bn/gamma")
    weights.arrays["conv0/kernel"] = np.zeros((5, 5, 3, 64), np.float32)
    for check in (lambda: check_fits(NAME, 10, weights), lambda: assign_weights(model, weights)):
        with pytest.raises(WeightsError) as error:
            check()
        assert "1 missing: bn/gamma; 1 surplus: extra/kernel; 1 misshapen: conv0/kernel" in str(
            error.value
        )


def test_ten_missing_arrays_are_named_and_the_others_counted() -> None:
    weights = arrays_of(NAME, 1000)
    table = table_of("apm5-resnet50-v2", 1000)
    with pytest.raises(WeightsError) as error:
        check_fits("apm5-resnet50-v2", 1000, weights)
    missing = {v.path for v in table} - set(weights.arrays)
    assert len(missing) > 100
    named = [path for path in sorted(missing) if f" {path}" in error.value.found]
    assert named == sorted(missing)[:10]
    assert f"and {len(missing) - 10} more" in error.value.found
    assert len(str(error.value)) < 2000


def test_a_truncated_file_is_named(legacy: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.h5"
    whole = legacy.read_bytes()
    for part in (0.5, 0.99):
        torn.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(WeightsError, match=r"damaged or truncated[^$]*torn\.h5"):
            read_weight_file(torn)


def _archive(inner: bytes | None, method: int = zipfile.ZIP_STORED) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as archive:
        archive.writestr("config.json", "{}")
        if inner is not None:
            archive.writestr("model.weights.h5", inner)
    return raw.getvalue()


def _altered(archive: bytes, offset: int, bits: int) -> bytes:
    """The archive with bits of its last member's local and central entries set or flipped."""
    raw = bytearray(archive)
    raw[raw.rindex(b"PK\x03\x04") + offset] ^= bits
    if offset < 30:  # the central entry has the flags two bytes later
        raw[raw.rindex(b"PK\x01\x02") + offset + 2] ^= bits
    return bytes(raw)


_NAME_END = 30 + len("model.weights.h5")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (pickle.dumps({"a": 1}), "is a pickle"),
        (_archive(None), "without model.weights.h5"),
        (_archive(b"nothing"), "damaged or truncated"),
        (_archive(b"nothing")[:60], "an archive that cannot be read"),
        (_altered(_archive(b"nothing"), 6, 1), "cannot be read [^$]*encrypted"),
        (_altered(_archive(b"nothing"), 8, 99), "cannot be read [^$]*compression"),
        (_altered(_archive(b"n" * 999, zipfile.ZIP_DEFLATED), _NAME_END, 255), "decompressing"),
        (_altered(_archive(b"n" * 999, zipfile.ZIP_LZMA), _NAME_END + 2, 255), "cannot be read"),
    ],
)
def test_what_is_no_weight_file_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read_weight_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"No such file[^$]*nowhere\.h5"):
        read_weight_file(tmp_path / "nowhere.h5")


def test_links_and_objects_in_a_file_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "other.h5"
    with h5py.File(secret, "w") as file:
        file["kernel:0"] = np.zeros(3, np.float32)
    for link in (h5py.ExternalLink("other.h5", "/kernel:0"), np.array([1, 2])):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.attrs["layer_names"] = ["conv0"]
            file.create_group("conv0").attrs["weight_names"] = ["conv0/kernel:0"]
            file["conv0"].create_group("conv0")["kernel:0"] = link
        with pytest.raises(WeightsError, match=r"does not hold|not floating-point"):
            read_weight_file(tmp_path / "a.h5")


def test_the_references_files_describe_themselves() -> None:
    known = describe_weights(arrays_of(NAME, 1000), NAME)
    assert (known.class_order, known.classes) == ("devkit", 1000)
    assert known.normalisation == NORMALISATIONS["apm5"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"class_order": "wordnet"}, "class_order contradicts[^$]*expected:   devkit"),
        ({"class_order": "folder"}, "class_order contradicts[^$]*expected:   devkit"),
        ({"normalisation": NORMALISATIONS["torch"]}, "normalisation contra[^$]*expected:   apm5"),
    ],
)
def test_an_option_that_contradicts_the_source_is_refused(
    told: dict[str, object], words: str
) -> None:
    weights = arrays_of(NAME, 1000)
    with pytest.raises(WeightsError, match=words):
        describe_weights(weights, NAME, **told)
    same = {"normalisation": NORMALISATIONS["apm5"], "class_order": "devkit"}
    assert describe_weights(weights, NAME, **same) == describe_weights(weights, NAME)


@pytest.mark.parametrize(
    ("name", "normalisation"), [("keras-resnet50", "caffe"), ("keras-resnet50v2", "tf")]
)
def test_keras_own_downloads_describe_themselves(name: str, normalisation: str) -> None:
    known = describe_weights(arrays_of(name, 1000, "keras_download"), name)
    assert known.class_order == "wordnet"
    assert known.normalisation == NORMALISATIONS[normalisation]
    with pytest.raises(WeightsError, match="what the file's source implies"):
        describe_weights(
            arrays_of(name, 1000, "keras_download"), name, normalisation=NORMALISATIONS["torch"]
        )
    with pytest.raises(WeightsError, match="what the file's source implies"):
        describe_weights(arrays_of(name, 1000, "keras_download"), name, class_order="devkit")


def test_any_other_bare_file_must_be_described() -> None:
    weights = arrays_of("keras-resnet50", 1000)
    with pytest.raises(WeightsError, match="--normalisation and --class-order"):
        describe_weights(weights, "keras-resnet50")
    with pytest.raises(WeightsError, match="expected:   --class-order"):
        describe_weights(weights, "keras-resnet50", normalisation=NORMALISATIONS["torch"])
    told = describe_weights(
        weights, "keras-resnet50", normalisation=NORMALISATIONS["torch"], class_order="wordnet"
    )
    assert told.normalisation == NORMALISATIONS["torch"]


def test_a_description_that_contradicts_the_file_is_an_error() -> None:
    ten = arrays_of(NAME, 10)
    with pytest.raises(WeightsError, match="10 classes, the devkit order has 1000"):
        describe_weights(ten, NAME, normalisation=NORMALISATIONS["apm5"], class_order="devkit")
    described = WeightArrays("a.h5", "legacy_h5", "", ten.arrays, DESCRIPTION.model_dump_json())
    with pytest.raises(WeightsError, match="option for normalisation contradicts"):
        describe_weights(described, NAME, normalisation=NORMALISATIONS["tf"])
    wrong = DESCRIPTION.model_copy(update={"classes": 11}).model_dump_json()
    with pytest.raises(WeightsError, match="10 classes and its description says 11"):
        describe_weights(WeightArrays("a.h5", "legacy_h5", "", ten.arrays, wrong), NAME)


def test_keras_applications_published_files_name_the_head_otherwise(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [b"probs", b"relu"]
        file.create_group("relu").attrs["weight_names"] = []
        group = file.create_group("probs")
        group.attrs["weight_names"] = [b"probs/kernel:0"]
        group.create_dataset("probs/kernel:0", data=np.zeros((3, 4), np.float32))
    assert read_weight_file(tmp_path / "a.h5").shapes == {"predictions/kernel": (3, 4)}
