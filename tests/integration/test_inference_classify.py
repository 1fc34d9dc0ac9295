"""Single images of every format against the evaluation's own way, and what is refused."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError, WeightsError
from harness.evaluation.class_mapping import class_names
from harness.evaluation.single_image import Classifier, ImageToClassify, check_resized, read_picture
from harness.inference.classify import ClassifyReport, NamedImage
from harness.models.build import build_model
from harness.recipes.protocol import (
    APM5_NORMALISATION,
    Protocol,
    center_crop,
    multi_scale,
    ten_crop,
)
from harness.recipes.recipe import Model
from harness.weights.description import WeightsDescription
from harness.weights.files import WeightArrays
from harness.weights.source import Imported

RANDOM = np.random.RandomState(3)
COARSE = Image.fromarray(RANDOM.randint(0, 256, (5, 6, 3)).astype(np.uint8))
PICTURE = COARSE.resize((90, 70), Image.Resampling.BICUBIC)
DESCRIPTION = WeightsDescription(
    normalisation=APM5_NORMALISATION, class_order="folder", classes=3,
    class_names=("<b>one</b>", "two", "three"),
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> keras.Model:
    made = build_model(Model(name="apm5-resnet18-v2", image_size=32), classes=3, seed=5)
    made.get_layer("fully_connected").kernel.assign(RANDOM.randn(512, 3))
    return made


@pytest.fixture(scope="module")
def classifier(model: keras.Model) -> Classifier:
    return Classifier(model, center_crop(40, 32), class_names(DESCRIPTION))


def saved(folder: Path, name: str, image: Image.Image = PICTURE, **options: object) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def probabilities(classifier: Classifier, path: Path) -> dict[str, float]:
    return {g.name: g.probability for g in classifier.classify(read_picture(path))}


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("palette.png", "P", {}),
        ("alpha.png", "RGBA", {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("still.gif", "P", {}),
        ("a.bmp", "RGB", {}),
        ("rgb.jpg", "RGB", {"quality": 95}),
        ("progressive.jpg", "RGB", {"quality": 95, "progressive": True}),
        ("cmyk.jpg", "CMYK", {"quality": 95}),
    ],
)
def test_every_format_gets_nearly_the_same_answer(
    classifier: Classifier, tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    expected = probabilities(classifier, saved(tmp_path, "lossless.png"))
    found = probabilities(classifier, saved(tmp_path, name, PICTURE.convert(mode), **options))
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    # A palette of 256 colours and JPEG change pixels a little.
    tolerance = 1e-6 if name in {"a.png", "alpha.png", "a.webp", "a.bmp"} else 0.15
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=tolerance)


def test_grey_and_sixteen_bit_images_are_read(classifier: Classifier, tmp_path: Path) -> None:
    grey = PICTURE.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    first = probabilities(classifier, saved(tmp_path, "grey.png", grey))
    second = probabilities(classifier, saved(tmp_path, "deep.png", deep))
    assert first == pytest.approx(second, abs=1e-6)


def test_an_orientation_tag_is_applied(classifier: Classifier, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(tmp_path, "turned.jpg", exif=exif, quality=95)
    picture = read_picture(turned)
    assert (picture.width, picture.height) == (70, 90)
    upright = saved(tmp_path, "upright.png", Image.open(turned).rotate(-90, expand=True))
    expected = probabilities(classifier, upright)
    assert probabilities(classifier, turned) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("protocol", [ten_crop(40, 32), multi_scale((32, 48))])
def test_other_protocols_name_single_images_too(
    model: keras.Model, tmp_path: Path, protocol: object
) -> None:
    other = Classifier(model, protocol, class_names(DESCRIPTION))
    found = probabilities(other, saved(tmp_path, "a.png"))
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def _gif(frames: int) -> bytes:
    raw = io.BytesIO()
    more = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    more[0].save(raw, "GIF", save_all=True, append_images=more[1:frames])
    return raw.getvalue()


def _png(width: int, height: int) -> bytes:
    raw = io.BytesIO()
    Image.new("1", (width, height)).save(raw, "PNG")
    return raw.getvalue()


def _half(kind: str) -> bytes:
    raw = io.BytesIO()
    PICTURE.save(raw, kind)
    return raw.getvalue()[: raw.tell() // 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not an image at all", "no image"),
        (_png(1, 1), "1 x 1 pixels"),
        (_png(20_000, 20_000), "20,000 x 20,000 pixels|too large"),
        (_gif(3), "more than one frame"),
        (_half("PNG"), "damaged"),
        (_half("JPEG"), "cut short"),
    ],
    ids=["empty", "text", "1x1", "20000x20000", "animated", "half a PNG", "half a JPEG"],
)
def test_what_cannot_be_named_is_refused_in_words(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        read_picture(path)
    assert str(path) in str(error.value)
    assert "what to do" in str(error.value)


def test_a_network_without_numbers_names_its_weights(model: keras.Model, tmp_path: Path) -> None:
    broken = keras.models.clone_model(model)
    broken.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    names = class_names(DESCRIPTION)
    other = Classifier(broken, center_crop(40, 32), names, weights_source="broken.h5")
    with pytest.raises(WeightsError, match=r"sum to nan[^$]*where:      broken\.h5"):
        other.classify(read_picture(saved(tmp_path, "a.png")))


@pytest.mark.parametrize("protocol", [center_crop(), multi_scale()])
def test_a_strip_that_resizing_would_make_huge_is_refused(
    protocol: Protocol, tmp_path: Path
) -> None:
    path = tmp_path / "strip.png"
    path.write_bytes(_png(12, 60_000))
    with pytest.raises(DataError, match=r"12 x 60,000 pixels become [^$]*strip\.png") as error:
        check_resized(read_picture(path), protocol)
    assert f"{max(protocol.short_sides)}" in error.value.found
    for size in ((3000, 300), (70, 90), (10_000, 10_000), (225, 5000)):
        check_resized(ImageToClassify(path, b"", 1, *size, ""), protocol)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file[^$]*nothing\.jpg"):
        read_picture(tmp_path / "nothing.jpg")


def test_the_words_and_the_document_name_the_same_class(
    classifier: Classifier, tmp_path: Path
) -> None:
    picture = read_picture(saved(tmp_path, "a.png"))
    imported = Imported("apm5-resnet18-v2", WeightArrays("w.h5", "legacy_h5", "", {}), DESCRIPTION)
    report = ClassifyReport(
        imported, classifier.protocol, (NamedImage(picture, classifier.classify(picture)),)
    )
    (entry,) = report.document()["images"]
    assert entry["top5"][0]["probability"] == max(g["probability"] for g in entry["top5"])
    assert entry["top5"][0]["name"] in report.text()
