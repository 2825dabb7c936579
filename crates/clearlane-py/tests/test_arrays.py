"""Pictures as arrays: read where they lie, whatever their strides; compared, searched and run."""

import re
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ENROLLED, PEOPLE, ROOT, UNKNOWN, open_port, picture

import clearlane

A, B = ENROLLED[0], ENROLLED[1]


def test_a_picture_file_becomes_an_array():
    path = PEOPLE / "enrolled" / A / "enrol.jpg"
    pixels = clearlane.read_picture(path)
    assert pixels.dtype == np.uint8 and pixels.shape == (360, 360, 3) and pixels.flags.c_contiguous
    assert np.array_equal(pixels, clearlane.decode_picture(path.read_bytes()))


def test_a_chip_portrait_is_read_like_a_picture_file(tmp_path):
    """A facial record of ISO/IEC 19794-5:2005, as a chip's data group 2 holds it."""
    image = (PEOPLE / "enrolled" / A / "enrol.jpg").read_bytes()
    block = (32 + len(image)).to_bytes(4, "big") + bytes(28) + image
    record = b"FAC\0" + b"010\0" + (14 + len(block)).to_bytes(4, "big") + b"\0\1" + block
    path = tmp_path / "traveller.dg2"
    path.write_bytes(record)
    expected = clearlane.decode_picture(image)
    assert np.array_equal(clearlane.decode_picture(record), expected)
    assert np.array_equal(clearlane.read_picture(path), expected)
    with pytest.raises(clearlane.PictureError, match="facial record"):
        clearlane.decode_picture(record[:40])


def test_pixels_are_limited_as_asked():
    path = PEOPLE / "enrolled" / A / "enrol.jpg"
    assert clearlane.read_picture(path, max_pixels=360 * 360).shape == (360, 360, 3)
    with pytest.raises(clearlane.PictureError, match="over the limit of 129599"):
        clearlane.read_picture(path, max_pixels=360 * 360 - 1)


def test_doubts_are_said_in_words(extractor):
    pixels = picture(A)
    assert extractor.doubts(pixels) == []
    doubts = extractor.doubts((pixels // 16).astype(np.uint8))
    assert doubts[0]["phrase"]["en"] and doubts[0]["phrase"]["zh"]
    assert "dim" in [doubt["phrase"]["en"] for doubt in doubts]


def test_turned_and_small_faces_are_found_where_that_is_asked_for(extractor):
    pixels = picture(A)
    turned = np.ascontiguousarray(np.rot90(pixels, 1))
    any_way = clearlane.Extractor(orientation="auto", min_face=60, detector_size=320)
    assert np.dot(any_way.template(turned), extractor.template(pixels)) > 0.95
    with pytest.raises(clearlane.PictureError, match="no face"):
        clearlane.Extractor(min_face=0.99).template(pixels)


@pytest.mark.parametrize(
    "options", [{"orientation": "up"}, {"min_face": 0.0}, {"min_face": float("nan")}, {"detector_size": 31}]
)
def test_settings_that_mean_nothing_are_refused(options):
    with pytest.raises(clearlane.InputError, match=next(iter(options))):
        clearlane.Extractor(**options)


def test_layouts_of_one_picture_give_one_template(extractor):
    pixels = picture(A)
    expected = extractor.template(pixels)
    assert expected.dtype == np.float32 and expected.shape == (extractor.dimension,)
    assert abs(np.linalg.norm(expected) - 1) < 1e-5

    wide = np.zeros((360, 500, 3), np.uint8)
    wide[:, 70:430] = pixels
    padded = wide[:, 70:430]
    tall = np.repeat(pixels, 2, axis=0)[::2]
    assert not padded.flags.c_contiguous and not tall.flags.c_contiguous
    read_only = pixels.copy()
    read_only.flags.writeable = False
    for view in (padded, tall, read_only):
        assert np.array_equal(extractor.template(view), expected)

    bgr = np.ascontiguousarray(pixels[..., ::-1])
    assert np.array_equal(extractor.template(bgr, order="bgr"), expected)
    assert not np.array_equal(extractor.template(bgr), expected)

    grey = pixels.mean(axis=2).astype(np.uint8)
    three = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(extractor.template(grey), extractor.template(three))


def yuv(pixels):
    """ITU-R BT.601, limited range: luma, and chroma of every second row and column."""
    r, g, b = np.moveaxis(pixels.astype(float) / 255, 2, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    u, v = 128 + 224 * (b - y) / 1.772, 128 + 224 * (r - y) / 1.402
    return [np.rint(plane).astype(np.uint8) for plane in (16 + 219 * y, u, v)]


def test_every_order_of_samples_gives_the_same_person(extractor):
    pixels = picture(A)
    expected = extractor.template(pixels)
    y, u, v = yuv(pixels)
    alpha = np.full((*y.shape, 1), 7, np.uint8)
    half = (slice(None, None, 2), slice(None, None, 2))
    chroma = np.stack([u, v], axis=2)[half]
    pairs = np.repeat(np.stack([u, v], axis=2)[:, ::2], 2, axis=1)
    columns = np.arange(y.shape[1]) % 2
    part = np.where(columns, pairs[..., 1], pairs[..., 0])
    arrays = {
        "rgba": np.concatenate([pixels, alpha], axis=2),
        "bgra": np.concatenate([pixels[..., ::-1], alpha], axis=2),
        "yuyv": np.stack([y, part], axis=2),
        "uyvy": np.stack([part, y], axis=2),
        "nv12": np.concatenate([y, chroma.reshape(-1, y.shape[1])]),
        "i420": np.concatenate([y, u[half].reshape(-1, y.shape[1]), v[half].reshape(-1, y.shape[1])]),
    }
    for order, array in arrays.items():
        score = float(extractor.template(np.ascontiguousarray(array), order=order) @ expected)
        assert score > 0.99, (order, score)
    for order in ("yuyv", "nv12", "i420", "bgra"):
        with pytest.raises(clearlane.InputError, match="expected a NumPy array"):
            extractor.template(pixels, order=order)
    with pytest.raises(clearlane.InputError, match='expected one of "rgb"') as refusal:
        extractor.template(pixels, order="cmyk")
    # Whatever order there is was tried.
    known = set(re.findall(r'"(\w+)"', str(refusal.value))) - {"cmyk"}
    assert known == {"rgb", "bgr", *arrays}


def test_a_camera_that_is_mounted_sideways_says_so(port):
    assert port.lane("lane 0", "exit").pass_frames([picture(A)]).admitted
    for quarters, rotation in enumerate((0, 90, 180, 270)):
        # What the camera sees is turned the other way.
        seen = np.ascontiguousarray(np.rot90(picture(A), quarters))
        lane = port.lane(f"lane {quarters}", "exit", rotation=rotation)
        assert lane.pass_frames([seen]).admitted
    with pytest.raises(clearlane.InputError, match="expected 0, 90, 180 or 270"):
        port.lane("lane 1", "exit", rotation=45)


def test_verification_tells_people_apart(extractor):
    same = clearlane.verify(picture(A), picture(A, "plain-2"))
    other = extractor.verify(picture(A), picture(B))
    assert same.verified and same.score >= same.threshold
    assert not other.verified and other.score < other.threshold
    one, two = extractor.template(picture(A)), extractor.template(picture(A, "plain-2"))
    assert abs(same.score - float(one @ two)) < 1e-6
    assert extractor.verify(picture(A), picture(B), threshold=-1.0).verified


def test_a_threshold_says_on_whom_it_was_measured(extractor):
    strictest = extractor.verify(picture(A), picture(B))
    named = clearlane.verify(picture(A), picture(B), population="fictional-people")
    assert strictest.population == named.population == "fictional-people"
    assert strictest.threshold == named.threshold
    assert extractor.verify(picture(A), picture(B), threshold=0.4).population is None
    with pytest.raises(clearlane.ConfigurationError, match="`elders`.*`fictional-people`"):
        extractor.verify(picture(A), picture(B), population="elders")
    with pytest.raises(clearlane.InputError, match="population"):
        extractor.verify(picture(A), picture(B), population="")


def test_what_shows_no_face_is_not_verified(extractor):
    with pytest.raises(clearlane.PictureError, match="no face"):
        extractor.verify(picture(A), np.zeros((200, 200, 3), np.uint8))


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def embeddings():
    random = np.random.default_rng(2026)
    return random.standard_normal((5000, 128)).astype(np.float32)


@pytest.fixture(scope="module")
def gallery(embeddings):
    gallery = clearlane.Gallery(128)
    gallery.add(np.arange(5000, dtype=np.uint64), embeddings)
    return gallery


@pytest.mark.parametrize("mode", ["exhaustive", "certified", "sketch"])
def test_a_search_finds_what_numpy_finds(gallery, embeddings, mode):
    probes = np.random.default_rng(7).standard_normal((20, 128)).astype(np.float32)
    scores = unit(probes) @ unit(embeddings).T
    many = gallery.search_many(probes, 5, mode=mode)
    for probe, row, found in zip(probes, scores, many):
        best = np.argsort(-row)[:5]
        assert np.array_equal(found.ids, best) and found.ids.dtype == np.uint64
        assert np.allclose(found.scores, row[best], atol=1e-5) and found.scores.dtype == np.float32
        assert found.complete and found.scanned is None and len(found) == 5
        one = gallery.search(probe, 5, mode=mode)
        assert np.array_equal(one.ids, found.ids)
        above = gallery.search(probe, 100, threshold=0.2, mode=mode)
        assert len(above) == min(100, (row >= 0.2).sum())


def test_ids_come_and_go(embeddings):
    gallery = clearlane.Gallery(128, precision="f16", certified_codes=False)
    gallery.add([7, 7, 8], embeddings[:3])
    assert (len(gallery), gallery.subjects, gallery.dimension) == (3, 2, 128) and gallery.memory > 0
    assert gallery.search(embeddings[1]).ids.tolist()[0] == 7
    assert gallery.remove(7) == 2
    assert gallery.search(embeddings[1]).ids.tolist() == [8]
    with pytest.raises(clearlane.InputError, match="subject 7 has no template"):
        gallery.remove(7)


def test_what_is_refused_leaves_the_gallery_as_it_was(embeddings):
    gallery = clearlane.Gallery(128)
    rows = embeddings[:4].copy()
    rows[2, 5] = np.nan
    with pytest.raises(clearlane.InputError, match=r"embeddings\[2\]: expected finite values, got NaN"):
        gallery.add([1, 2, 3, 4], rows)
    with pytest.raises(clearlane.InputError, match="ids: expected 4, one for each row, got 3"):
        gallery.add([1, 2, 3], embeddings[:4])
    assert len(gallery) == 0
    with pytest.raises(clearlane.InputError, match="empty"):
        gallery.search(embeddings[0])


def test_a_search_out_of_time_says_so(embeddings):
    gallery = clearlane.Gallery(128, certified_codes=False)
    for first in range(0, 200_000, 5000):
        gallery.add(range(first, first + 5000), embeddings)
    found = gallery.search(embeddings[0], 5, mode="exhaustive", budget=0.0)
    assert not found.complete and found.scanned[0] < found.scanned[1] == 200_000


def test_any_strides_serve_where_values_are_copied(gallery, embeddings):
    columns = np.asfortranarray(embeddings[:10])
    assert not columns.flags.c_contiguous
    for one, other in zip(gallery.search_many(columns), gallery.search_many(embeddings[:10])):
        assert np.array_equal(one.ids, other.ids)
    assert gallery.search(np.repeat(embeddings[3], 2)[::2]).ids[0] == 3


def test_a_network_runs_on_arrays():
    path = ROOT / "models/embedder.onnx"
    fast = clearlane.Network(path, (3, 112, 112))
    plain = clearlane.Network(path.read_bytes(), (3, 112, 112), backend="tract")
    images = np.random.default_rng(1).standard_normal((2, 3, 112, 112)).astype(np.float32)
    (one,), (other,) = fast.run(images), plain.run(images, parallel=True)
    assert one.dtype == np.float32 and one.shape == (2, *fast.outputs[0][1])
    assert np.allclose(one, other, atol=1e-3)
    (turned,) = fast.run(np.asfortranarray(images))
    assert np.array_equal(one, turned)
    assert fast.input_shape == (3, 112, 112) and len(fast.nodes) == len(plain.nodes) > 10
    assert {backend for _, _, backend in plain.nodes} == {"tract"}
    with pytest.raises(clearlane.ConfigurationError, match="expected a whole ONNX model"):
        clearlane.Network(b"no model", (3, 112, 112))
    with pytest.raises(clearlane.ConfigurationError, match="nowhere.onnx: No such file"):
        clearlane.Network("nowhere.onnx", (3, 112, 112))


class Ticks:
    """Another thread, which only runs while this one has let go of the interpreter."""

    def __enter__(self):
        self.count, self.stop, self.interval = 0, threading.Event(), sys.getswitchinterval()
        # Nobody is made to let go: a thread runs on until it does so itself.
        sys.setswitchinterval(1000)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        while not self.stop.is_set():
            self.count += 1
            time.sleep(0.0002)

    def __exit__(self, *exception):
        self.stop.set()
        self.thread.join()
        sys.setswitchinterval(self.interval)


LONG_CALLS = {
    "open": lambda it: open_port(it.register).close(),
    "check": lambda it: it.port.check(),
    "enrol": lambda it: it.port.enrol(UNKNOWN[0], [it.frame]),
    "identify": lambda it: it.port.identify(it.frame),
    "poll": lambda it: it.port.poll(),
    "records": lambda it: it.port.records(),
    "verify_records": lambda it: it.port.verify_records(),
    "pass_frames": lambda it: it.lane.pass_frames([it.frame]),
    "verify_document": lambda it: it.lane.verify_document("passport", "1", it.frame, [it.frame]),
    "verify_claim": lambda it: it.lane.verify_claim([it.frame], [it.frame]),
    "session": lambda it: it.lane.passage().frame(it.frame),
    "read_picture": lambda it: clearlane.read_picture(PEOPLE / "enrolled" / A / "enrol.jpg"),
    "template": lambda it: it.extractor.template(it.frame),
    "verify": lambda it: it.extractor.verify(it.frame, it.frame),
    "add": lambda it: clearlane.Gallery(128).add(it.numbers, it.embeddings),
    "search": lambda it: it.gallery.search(it.embeddings[0], mode="exhaustive"),
    "search_many": lambda it: it.gallery.search_many(it.embeddings[:50]),
    "network": lambda it: it.network.run(it.image),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_long_calls_let_other_threads_run(name, register, gallery, embeddings, extractor):
    class It:
        pass

    it = It()
    it.register, it.gallery, it.embeddings, it.extractor = register, gallery, embeddings, extractor
    it.numbers, it.frame = list(range(len(embeddings))), picture(A)
    it.network = clearlane.Network(ROOT / "models/embedder.onnx", (3, 112, 112))
    it.image = np.zeros((1, 3, 112, 112), np.float32)
    with open_port(register) as port, Ticks() as ticks:
        it.port, it.lane = port, port.lane("lane 1", "exit")
        # A call may be over before the other thread wakes up; one that held the interpreter would never let it run.
        end = time.monotonic() + 20
        while time.monotonic() < end:
            before = ticks.count
            LONG_CALLS[name](it)
            if ticks.count > before:
                return
    pytest.fail(f"{name} never let another thread run")
