"""A table of weight files as people have them: read, or refused with a way out that helps."""

import gzip
import io
import json
import pickle
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from harness.errors import UsageError, WeightsError
from harness.recipes.normalisations import find_normalisation
from harness.weights.files import read_weight_file
from harness.weights.keras_arrays import is_seed, names_of_version_2
from harness.weights.source import read_weights

# Keras' own saving calls NumPy in the manner of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def network(*, dtype: str = "float32", dropout: bool = False, adapted: bool = False) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        net = image = layers.Input((8, 8, 3))
        if adapted:
            normalise = layers.Normalization(name="input_norm", dtype="float32")
            normalise.adapt(np.random.default_rng(0).random((10, 8, 8, 3), np.float32))
            net = normalise(net)
        net = layers.Conv2D(4, 3, name="conv0", use_bias=False)(net)
        net = layers.BatchNormalization(name="conv0.bn")(net)
        if dropout:
            net = layers.Dropout(0.5, seed=3)(layers.RandomFlip(seed=4)(net))
        net = layers.Conv2D(4, 3, name="conv1", use_bias=False)(net)
        net = layers.GlobalAveragePooling2D()(net)
        return keras.Model(image, layers.Dense(5, name="predictions")(net))
    finally:
        keras.config.set_dtype_policy(before)


def expected(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by path, without states of random generators."""
    return {
        f"{layer.name}/{variable.name}": np.asarray(variable).astype(np.float32)
        for layer in model.layers
        for variable in layer.weights
    }


def save_archive(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "a.keras")
    return folder / "a.keras"


def save_weights(model: keras.Model, folder: Path) -> Path:
    model.save_weights(folder / "a.weights.h5")
    return folder / "a.weights.h5"


def save_legacy(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "a.h5")
    return folder / "a.h5"


def save_shards(model: keras.Model, folder: Path) -> Path:
    model.save_weights(
        folder / "a.weights.json",
        max_shard_size=(700 if model.layers[1].dtype == "float32" else 400) / 1024**3,
    )
    assert len(list(folder.glob("a_*.weights.h5"))) > 1
    return folder / "a.weights.json"


def save_one_shard(model: keras.Model, folder: Path) -> Path:
    save_shards(model, folder)
    return folder / "a_00001.weights.h5"


def save_with_seed_states(model: keras.Model, folder: Path) -> Path:
    """As Keras 3.0 to 3.4 did, which kept the state of dropout's generator."""
    path = save_weights(model, folder)
    with h5py.File(path, "a") as file:
        group = file.create_group("layers/dropout/seed_generator/vars")
        group.attrs["name"] = "seed_generator_3"
        group["0"] = np.array([3, 0], np.uint32)
    return path


def save_as_version_2(model: keras.Model, folder: Path, container: str = "layers") -> Path:
    """As `tf.keras` 2.13 wrote an archive: groups named by class, names in the configuration."""
    path, inner = save_archive(model, folder), io.BytesIO()
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
        raw = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(raw) as read, h5py.File(inner, "w") as written:
        for place, group in read["layers"].items():
            for number, dataset in group["vars"].items():
                written[f"{container}/{place}/vars/{number}"] = dataset[()]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", inner.getvalue())
    return path


def save_as_version_2_12(model: keras.Model, folder: Path) -> Path:
    return save_as_version_2(model, folder, "_layer_checkpoint_dependencies")


Save = Callable[[keras.Model, Path], Path]


def save_a_trained_part(model: keras.Model, folder: Path) -> Path:
    """A network inside another one, which brings its own optimizer's state."""
    model.compile("sgd")
    model.optimizer.build(model.trainable_variables)
    keras.Sequential([layers.Input((8, 8, 3)), model]).save(folder / "a.keras")
    return folder / "a.keras"


READ: list[tuple[str, dict[str, object], Save]] = [
    ("bfloat16 archive", {"dtype": "bfloat16"}, save_archive),
    ("bfloat16 weights", {"dtype": "bfloat16"}, save_weights),
    ("float16 archive", {"dtype": "float16"}, save_archive),
    ("mixed archive", {"dtype": "mixed_bfloat16"}, save_archive),
    ("dropout, archive", {"dropout": True}, save_archive),
    ("dropout, legacy", {"dropout": True}, save_legacy),
    ("seed states of older versions", {"dropout": True}, save_with_seed_states),
    ("shards", {}, save_shards),
    ("bfloat16 shards", {"dtype": "bfloat16"}, save_shards),
    ("one of the shards", {}, save_one_shard),
    ("a trained part", {}, save_a_trained_part),
    ("Keras 2.13", {}, save_as_version_2),
    ("Keras 2.12", {"dropout": True}, save_as_version_2_12),
]


@pytest.mark.parametrize(("name", "options", "save"), READ, ids=lambda x: x)
def test_a_weight_file_is_read(
    tmp_path: Path, name: str, options: dict[str, object], save: Save
) -> None:
    model = network(**options)  # type: ignore[arg-type]
    found = read_weight_file(save(model, tmp_path)).arrays
    wanted = expected(model)
    assert set(found) == set(wanted), name
    for path, array in wanted.items():
        assert found[path].dtype == np.float32
        np.testing.assert_array_equal(found[path], array, err_msg=path)


def normalising(folder: Path) -> Path:
    return save_archive(network(adapted=True), folder)


def normalising_legacy(folder: Path) -> Path:
    return save_legacy(network(adapted=True), folder)


def rescaling(folder: Path) -> Path:
    net = image = layers.Input((8, 8, 3))
    net = layers.Rescaling(1 / 127.5, -1, name="scaled")(net)
    net = layers.Normalization(mean=[0.0, 0.5, 1.0], variance=[4.0] * 3, name="norm")(net)
    return save_archive(keras.Model(image, layers.Conv2D(4, 3, name="conv0")(net)), folder)


def diverged(folder: Path) -> Path:
    model = network()
    model.get_layer("predictions").bias.assign(np.full(5, np.nan))
    return save_weights(model, folder)


def other_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["conv1.weight"] = np.zeros(3)
    return folder / "a.h5"


def zipped(folder: Path) -> Path:
    save_weights(network(), folder)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "a.weights.h5", "in/a.weights.h5")
    return folder / "a.zip"


def quantised(folder: Path) -> Path:
    path = save_weights(network(), folder)
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.ones((4, 5), np.int8)
        file["layers/dense/vars/2"] = np.ones(5, np.float32)
    return path


def without_names(folder: Path) -> Path:
    """As `tf.keras` 2.13 wrote weights alone: no names anywhere."""
    path = folder / "a.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 4), np.float32)
    return path


def other_layer(folder: Path) -> Path:
    model = keras.Sequential([layers.Input((8, 4)), layers.LSTM(3, name="lstm")])
    return save_weights(model, folder)


def missing_shard(folder: Path) -> Path:
    index = save_shards(network(), folder)
    (folder / "a_00001.weights.h5").unlink()
    return index


def file_of(raw: bytes, name: str = "a.h5") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(raw)
        return folder / name

    return make


def archive_of(*names: str) -> Callable[[Path], Path]:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file_of(raw.getvalue(), "a.pt")


REFUSED: list[tuple[str, Callable[[Path], Path], str]] = [
    ("adapted normalisation", normalising,
     r"its input by a layer, input_norm \(mean 0\.\d+, [\s\S]*get_layer\('input_norm'\)"),
    ("adapted normalisation, legacy", normalising_legacy, r"input_norm \(mean"),
    ("layers that rescale", rescaling,
     r'scaled, norm[\s\S]*get_layer[\s\S]*\[127\.5,191\.25,255\.0\],"std":\[255\.0,'),
    ("NaN", diverged, r"NaN or infinite numbers at layers/dense/vars/1[\s\S]*earlier"),
    ("HDF5 of something else", other_hdf5, r"it holds conv1\.weight[\s\S]*as \.keras"),
    ("a zip of weights", zipped, r"unzip \S+a\.zip -d \S+; name \S+in/a\.weights\.h5"),
    ("xz", file_of(b"\xfd7zXZ\0x", "a.h5.xz"), r"unxz \S+a\.h5\.xz"),
    ("a tar", file_of(b"a".ljust(257, b"\0") + b"ustar", "my a.tar"), r"tar -xf '\S+my a\.tar'"),
    ("empty", file_of(b""), r"is empty"),
    ("ONNX", file_of(b"\x08\x07\x12\x07", "a.onnx"), r"another framework[\s\S]*as \.keras"),
    ("a SavedModel's part", file_of(b"\x08\x01", "saved_model.pb"), r"2\.15[\s\S]*as \.keras"),
    ("shards of PyTorch", file_of(b'{"weight_map":{"a":"m-1.safetensors"}}', "m.index.json"),
     r"shards of another framework, such as m-1\.safetensors"),
    ("int8", quantised, r"holds int8 at [\s\S]*before it is quantised"),
    ("weights of Keras 2 alone", without_names, r"names of its layers[\s\S]*as \.keras"),
    ("a layer of other networks", other_layer, r"holds 3 variables at [\s\S]*cannot be told apart"),
    ("a missing shard", missing_shard,
     r"shard a_00001\.weights\.h5, which is mi[\s\S]*own names: a_00000"),
    ("an index of something else", file_of(b"{}", "a.json"), r"no index of Keras' shards"),
    ("PyTorch", archive_of("archive/data.pkl", "archive/data/0"), r"PyTorch's[\s\S]*as \.keras"),
    ("NumPy", archive_of("conv0.npy"), r"NumPy arrays without a network"),
    ("an old PyTorch pickle", file_of(pickle.dumps({"a": 1}), "a.pth"), r"is a pickle"),
    ("safetensors", file_of(b"\x40\0\0\0\0\0\0\0" + b'{"a":{}}' * 9), r"safetensors"),
    ("TensorFlow's checkpoint", file_of(b"\0" * 80, "model.ckpt.index"), r"checkpoint of Tensor"),
    ("Git LFS", file_of(b"version https://git-lfs.github.com/spec/v1\noid"), r"git lfs pull"),
    ("a web page", file_of(b"<!DOCTYPE html><html>"), r"is a web page[\s\S]*fetch it again"),
    ("gzip", file_of(gzip.compress(b"x"), "a.h5.gz"), r"gunzip \S+a\.h5\.gz"),
    ("anything else", file_of(b"hello"), r"neither HDF5 nor"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "words"), REFUSED, ids=lambda x: x)
def test_a_weight_file_is_refused_with_its_own_way_out(
    tmp_path: Path, name: str, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(WeightsError, match=words) as caught:
        read_weight_file(path)
    assert caught.value.where == str(path), name


def test_the_way_out_of_an_adapted_normalisation_works(tmp_path: Path) -> None:
    model = network(adapted=True)
    inner = keras.Model(model.get_layer("input_norm").output, model.output)
    found = read_weight_file(save_archive(inner, tmp_path)).arrays
    assert set(found) == {p for p in expected(model) if not p.startswith("input_norm")}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.keras", r"weights in it, such as \S+a\.keras"),
        ("saved_model.pb", "SavedModel"),
        ("model.safetensors", "as .keras"),
        ("notes", "name the folder of a run"),
    ],
)
def test_a_folder_without_a_checkpoint_is_named_by_what_it_holds(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(WeightsError, match=words):
        read_weights(tmp_path)


def test_a_normalisation_is_a_name_or_its_fields(tmp_path: Path) -> None:
    """The option that a refusal prints is one that the command takes."""
    with pytest.raises(WeightsError) as caught:
        read_weight_file(rescaling(tmp_path))
    option = shlex.split(str(caught.value.remedy).split("--normalisation ")[1])[0]
    found = find_normalisation(option)
    pixels = np.array([3.0, 200.0, 90.0])
    np.testing.assert_allclose(
        (pixels / found.scale - found.mean) / found.std,
        (pixels / 127.5 - 1 - [0.0, 0.5, 1.0]) / 2.0,
    )
    for wrong in ("x", "{}", '{"channels":"rgb","mean":[1],"std":[1]}'):
        with pytest.raises(UsageError, match="JSON object"):
            find_normalisation(wrong)


def test_names_of_version_2_follow_containers_and_classes() -> None:
    config = {"config": {"layers": [
        {"class_name": "InputLayer", "config": {"name": "in"}},
        {"class_name": "Conv2D", "config": {"name": "a"}},
        {"class_name": "BatchNormalization", "config": {"name": "b"}},
        {"class_name": "Conv2D", "config": {"name": "c"}},
        {"class_name": "Functional", "config": {"name": "trunk", "layers": [
            {"class_name": "Conv2D", "config": {"name": "d"}}]}},
    ]}}  # fmt: skip
    names = names_of_version_2(config)
    assert names["layers/conv2d/vars"] == "a"
    assert names["layers/conv2d_1/vars"] == "c"
    assert names["layers/batch_normalization/vars"] == "b"
    assert names["layers/functional/layers/conv2d/vars"] == "d"
    assert names["_layer_checkpoint_dependencies/conv2d_1/vars"] == "c"


@pytest.mark.parametrize(
    ("place", "seed"),
    [
        ("layers/dropout/seed_generator/vars", True),
        ("layers/random_flip/seed_generator_12/vars", True),
        ("random_flip/StateVar:0", True),
        ("drop/seed_generator_state:0", True),
        ("layers/conv2d/vars", False),
        ("conv0/kernel:0", False),
    ],
)
def test_states_of_random_generators_are_told_by_their_names(place: str, seed: bool) -> None:
    assert is_seed(place) is seed
