"""Whatever is given, an exception with words comes of it: those of `docs/bad-inputs.md`, which CLEARLANE_WRITE_TABLES=1 writes anew."""

import os
import re

import numpy as np
import pytest
from conftest import KEY, PERMIT, ROOT, open_port, picture

import clearlane

REFUSED = (clearlane.Error, TypeError, ValueError, OverflowError)

GOOD = np.zeros((80, 60, 3), np.uint8)
SURROGATE = "\ud800"

# Each with what its message names.
BAD_PICTURES = {
    "none": (None, "got None"),
    "text": ("frame.jpg", "got an object of type str"),
    "bytes": (b"\0" * 300, "got an object of type bytes"),
    "list": ([[0, 0], [0, 0]], "got an object of type list"),
    "memoryview": (memoryview(GOOD), "got an object of type memoryview"),
    "float64": (GOOD.astype(np.float64), "array of float64, shape [80, 60, 3], strides [1440, 24, 8]"),
    "int8": (GOOD.astype(np.int8), "array of int8"),
    "uint16": (GOOD.astype(np.uint16), "array of uint16"),
    "bool": (GOOD.astype(bool), "array of bool"),
    "object": (GOOD.astype(object), "array of object"),
    "scalar": (np.array(7, np.uint8), "shape []"),
    "row": (np.zeros(60, np.uint8), "shape [60]"),
    "one channel": (GOOD[..., :1], "shape [80, 60, 1]"),
    "four channels": (np.zeros((80, 60, 4), np.uint8), "shape [80, 60, 4]"),
    "planar": (np.zeros((3, 80, 60), np.uint8), "shape [3, 80, 60]"),
    "batch": (GOOD[None], "shape [1, 80, 60, 3]"),
    "no rows": (GOOD[:0], "shape [0, 60, 3]"),
    "no columns": (GOOD[:, :0], "shape [80, 0, 3]"),
    "upside down": (GOOD[::-1], "strides [-180, 3, 1]"),
    "mirrored": (GOOD[:, ::-1], "strides [180, -3, 1]"),
    "channels reversed": (GOOD[..., ::-1], "strides [180, 3, -1]"),
    "every other column": (GOOD[:, ::2], "strides [180, 6, 1]"),
    "transposed": (GOOD.transpose(1, 0, 2), "strides [3, 180, 1]"),
    "column-major": (np.asfortranarray(GOOD), "strides [1, 80, 4800]"),
    "one row for all": (np.broadcast_to(GOOD[:1], (80, 60, 3)), "strides [0, 3, 1]"),
    "overlapping rows": (
        np.lib.stride_tricks.as_strided(np.zeros(4000, np.uint8), (80, 60, 3), (30, 3, 1)),
        "strides [30, 3, 1]",
    ),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_what_is_no_picture_is_named(name, port, extractor):
    bad, words = BAD_PICTURES[name]
    lane = port.lane("lane 1", "exit")
    calls = [
        lambda: port.identify(bad),
        lambda: port.enrol("x", [GOOD, bad]),
        lambda: lane.pass_frames([bad]),
        lambda: lane.pass_frames([GOOD, bad]),
        lambda: lane.verify_document(PERMIT, "x", bad, [GOOD]),
        lambda: lane.verify_claim([bad], [GOOD]),
        lambda: lane.passage().frame(bad),
        lambda: extractor.template(bad),
        lambda: extractor.verify(GOOD, bad),
        lambda: clearlane.verify(bad, GOOD),
    ]
    for call in calls:
        with pytest.raises(clearlane.InputError) as refusal:
            call()
        assert "expected a NumPy array of uint8" in str(refusal.value) and words in str(refusal.value)
    assert port.records() == []


def test_pictures_without_neighbours_have_no_wrong_strides(port):
    for shape in ((1, 60, 3), (80, 1, 3), (1, 1), (1, 1, 3)):
        strided = np.lib.stride_tricks.as_strided(GOOD, shape, [s if n > 1 else 77 for n, s in zip(shape, (180, 3, 1))])
        with pytest.raises(clearlane.PictureError, match="no face"):
            port.identify(strided)


@pytest.mark.parametrize("bad", [None, GOOD, 7, "frame.jpg", [None], [[GOOD]], {"a": GOOD}, iter([GOOD])], ids=lambda b: type(b).__name__)
def test_a_list_of_pictures_is_asked_for(bad, port):
    lane = port.lane("lane 1", "exit")
    for call in (lane.pass_frames, lambda b: port.enrol("x", b), lambda b: lane.verify_claim(b, [GOOD])):
        with pytest.raises(clearlane.InputError, match="expected"):
            call(bad)


def test_no_frames_are_a_referral(port):
    assert [reason.code for reason in port.lane("lane 1", "exit").pass_frames([]).reasons] == ["no-face"]


def nested(depth):
    return {"a": nested(depth - 1)} if depth else {}


def cyclic():
    items = []
    items.append(items)
    return items


BAD_CALLS = {
    "lane: no name": lambda it: it.port.lane("", "exit"),
    "lane: long name": lambda it: it.port.lane("x" * 65, "exit"),
    "lane: control character": lambda it: it.port.lane("a\0b", "exit"),
    "lane: surrogate": lambda it: it.port.lane(SURROGATE, "exit"),
    "lane: None": lambda it: it.port.lane(None, "exit"),
    "lane: direction": lambda it: it.port.lane("lane 1", "up"),
    "lane: direction surrogate": lambda it: it.port.lane("lane 1", SURROGATE),
    "lane: made alone": lambda it: clearlane.Lane(),
    "order": lambda it: it.lane.pass_frames([GOOD], order="rbg"),
    "order None": lambda it: it.lane.pass_frames([GOOD], order=None),
    "order surrogate": lambda it: it.lane.passage(order=SURROGATE).frame(GOOD),
    "budget negative": lambda it: it.lane.pass_frames([GOOD], budget=-1),
    "budget nan": lambda it: it.lane.pass_frames([GOOD], budget=float("nan")),
    "budget infinite": lambda it: it.lane.pass_frames([GOOD], budget=float("inf")),
    "budget text": lambda it: it.lane.pass_frames([GOOD], budget="1"),
    "patience": lambda it: it.lane.passage(patience=-1),
    "evidence: dict": lambda it: it.lane.pass_frames([GOOD], evidence=[{"matcher": "x"}]),
    "evidence: None": lambda it: it.lane.pass_frames([GOOD], evidence=None),
    "evidence: subject": lambda it: clearlane.Evidence("fingerprint", -1, 1.0),
    "evidence: huge subject": lambda it: clearlane.Evidence("fingerprint", 1 << 64, 1.0),
    "evidence: surrogate": lambda it: clearlane.Evidence(SURROGATE, 1, 1.0),
    "session: evidence None": lambda it: it.lane.passage().evidence(None),
    "document: kind": lambda it: it.lane.verify_document("library card", "1", GOOD, [GOOD]),
    "document: number surrogate": lambda it: it.lane.verify_document(PERMIT, SURROGATE, GOOD, [GOOD]),
    "digest: no digits": lambda it: it.port.number_digest(PERMIT, "--"),
    "digest: kind": lambda it: it.port.number_digest("x", "1"),
    "identify: fpir 2": lambda it: it.port.identify(it.face, fpir=2.0),
    "identify: fpir 0": lambda it: it.port.identify(it.face, fpir=0.0),
    "identify: fpir nan": lambda it: it.port.identify(it.face, fpir=float("nan")),
    "identify: margin nan": lambda it: it.port.identify(it.face, margin=float("nan")),
    "identify: candidates": lambda it: it.port.identify(it.face, candidates=-1),
    "identify: wide": lambda it: it.port.identify(np.zeros((2, 32_769), np.uint8)),
    "enrol: key empty": lambda it: it.port.enrol("", [it.face], details=it.details),
    "enrol: key long": lambda it: it.port.enrol("x" * 257, [it.face], details=it.details),
    "enrol: key None": lambda it: it.port.enrol(None, [it.face]),
    "enrol: key surrogate": lambda it: it.port.enrol(SURROGATE, [it.face]),
    "details: unknown key": lambda it: it.port.enrol("x", [it.face], details={"colour": "red"}),
    "details: category": lambda it: it.port.enrol("x", [it.face], details={"category": "martian"}),
    "details: date": lambda it: it.port.enrol("x", [it.face], details={"birth": "yesterday"}),
    "details: list": lambda it: it.port.enrol("x", [it.face], details=[1, 2]),
    "details: object": lambda it: it.port.enrol("x", [it.face], details={"place": object()}),
    "details: deep": lambda it: it.port.enrol("x", [it.face], details=nested(500)),
    "details: cyclic": lambda it: it.port.enrol("x", [it.face], details={"documents": cyclic()}),
    "details: huge number": lambda it: it.port.enrol("x", [it.face], details={"birth": 1 << 70}),
    "details: number as key": lambda it: it.port.enrol("x", [it.face], details={1: 2}),
    "details: surrogate": lambda it: it.port.enrol("x", [it.face], details={"place": SURROGATE}),
    "subject: None": lambda it: it.port.subject(None),
    "records: subject": lambda it: it.port.records(subject="x"),
    "records: outcome": lambda it: it.port.records(outcome="maybe"),
    "records: since": lambda it: it.port.records(since="2026-01-01"),
    "print: nobody": lambda it: it.port.print_record("nobody"),
    "print: direction": lambda it: it.port.print_record("nobody", "up"),
    "port: None": lambda it: clearlane.Port(None),
    "port: surrogate": lambda it: clearlane.Port(SURROGATE, keys=KEY),
    "port: zero byte": lambda it: clearlane.Port("a\0b", keys=KEY),
    "port: no file": lambda it: open_port(it.folder / "none.register"),
    "port: a folder": lambda it: open_port(it.folder),
    "port: another file": lambda it: open_port(__file__),
    "port: short key": lambda it: open_port(it.register, keys=b"short"),
    "port: another key": lambda it: open_port(it.register, keys=bytes(32)),
    "port: keys None": lambda it: open_port(it.register, keys=None),
    "port: keys number": lambda it: open_port(it.register, keys=7),
    "port: key function": lambda it: open_port(it.register, keys=lambda key: "text"),
    "port: key function short": lambda it: open_port(it.register, keys=lambda key: b"short"),
    "port: no policy file": lambda it: open_port(it.register, policy=it.folder / "none.toml"),
    "port: bad policy": lambda it: open_port(it.register, policy=__file__),
    "port: id": lambda it: open_port(it.register, port="No Port"),
    "port: models text": lambda it: open_port(it.register, models="models"),
    "port: no models": lambda it: open_port(it.register, models=[it.folder / "none"]),
    "port: pad": lambda it: open_port(it.register, pad=["none"]),
    "port: selection": lambda it: open_port(it.register, selection="smallest"),
    "port: mode": lambda it: open_port(it.register, mode="fast"),
    "port: both": lambda it: open_port(it.register, create=True, read_only=True),
    "port: claim issuer": lambda it: open_port(it.register, claim_issuer=__file__),
    "picture: none": lambda it: clearlane.read_picture(it.folder / "none.jpg"),
    "picture: folder": lambda it: clearlane.read_picture(it.folder),
    "picture: text": lambda it: clearlane.read_picture(__file__),
    "picture: None": lambda it: clearlane.read_picture(None),
    "picture: empty": lambda it: clearlane.decode_picture(b""),
    "picture: cut": lambda it: clearlane.decode_picture(b"\xff\xd8\xff\xe0"),
    "picture: str": lambda it: clearlane.decode_picture("text"),
    "extractor: name": lambda it: clearlane.Extractor(embedder="none"),
    "verify: fmr": lambda it: clearlane.verify(it.face, it.face, fmr=7.0),
    "verify: fmr too low": lambda it: clearlane.verify(it.face, it.face, fmr=1e-30),
    "gallery: dimension 0": lambda it: clearlane.Gallery(0),
    "gallery: dimension": lambda it: clearlane.Gallery(1 << 40),
    "gallery: negative": lambda it: clearlane.Gallery(-1),
    "gallery: precision": lambda it: clearlane.Gallery(4, precision="f64"),
    "gallery: memory": lambda it: clearlane.Gallery(4, memory_limit=10).add([1], np.eye(1, 4, dtype=np.float32)),
    "add: float64": lambda it: it.gallery.add([1], np.eye(1, 4)),
    "add: width": lambda it: it.gallery.add([1], np.eye(1, 5, dtype=np.float32)),
    "add: one row": lambda it: it.gallery.add([1], np.ones(4, np.float32)),
    "add: list": lambda it: it.gallery.add([1], [[1.0, 0.0, 0.0, 0.0]]),
    "add: big-endian": lambda it: it.gallery.add([1], np.eye(1, 4, dtype=">f4")),
    "add: misaligned": lambda it: it.gallery.add([1], np.zeros(17, np.uint8)[1:].view(np.float32).reshape(1, 4)),
    "add: zeros": lambda it: it.gallery.add([1], np.zeros((1, 4), np.float32)),
    "add: nan": lambda it: it.gallery.add([1], np.full((1, 4), np.nan, np.float32)),
    "add: negative id": lambda it: it.gallery.add([-1], np.eye(1, 4, dtype=np.float32)),
    "add: ids None": lambda it: it.gallery.add(None, np.eye(1, 4, dtype=np.float32)),
    "add: ids text": lambda it: it.gallery.add("1", np.eye(1, 4, dtype=np.float32)),
    "add: fewer ids": lambda it: it.gallery.add([], np.eye(1, 4, dtype=np.float32)),
    "search: None": lambda it: it.gallery.search(None),
    "search: matrix": lambda it: it.gallery.search(np.eye(1, 4, dtype=np.float32)),
    "search: k 0": lambda it: it.gallery.search(np.ones(4, np.float32), 0),
    "search: threshold": lambda it: it.gallery.search(np.ones(4, np.float32), threshold=2.0),
    "search: threshold nan": lambda it: it.gallery.search(np.ones(4, np.float32), threshold=float("nan")),
    "search: mode": lambda it: it.gallery.search(np.ones(4, np.float32), mode="quick"),
    "search: miss": lambda it: it.gallery.search(np.ones(4, np.float32), mode="sketch", miss=0.9),
    "search: infinite": lambda it: it.gallery.search(np.full(4, np.inf, np.float32)),
    "search_many: vector": lambda it: it.gallery.search_many(np.ones(4, np.float32)),
    "search: budget": lambda it: it.gallery.search(np.ones(4, np.float32), budget=-1),
    "network: None": lambda it: clearlane.Network(None, (3, 112, 112)),
    "network: shape": lambda it: clearlane.Network(it.onnx, (3, 112)),
    "network: other shape": lambda it: clearlane.Network(it.onnx, (1, 7, 7)),
    "network: zero shape": lambda it: clearlane.Network(it.onnx, (0, 0, 0)),
    "network: huge shape": lambda it: clearlane.Network(it.onnx, (3, 1 << 40, 1 << 40), refit=True),
    "network: backend": lambda it: clearlane.Network(it.onnx, (3, 112, 112), backend="gpu"),
    "network: cut": lambda it: clearlane.Network(it.onnx[:1000], (3, 112, 112)),
    "run: None": lambda it: it.network.run(None),
    "run: no image": lambda it: it.network.run(np.zeros((0, 3, 112, 112), np.float32)),
    "run: one image": lambda it: it.network.run(np.zeros((3, 112, 112), np.float32)),
    "run: float64": lambda it: it.network.run(np.zeros((1, 3, 112, 112))),
    "run: other size": lambda it: it.network.run(np.zeros((1, 3, 112, 111), np.float32)),
}


@pytest.fixture
def it(register, port, tmp_path):
    class It:
        details = {"consent": {"given": "2025-01-01T00:00:00Z", "scope": {"face": True, "fingerprint": False}}}

    it = It()
    it.register, it.port, it.folder, it.lane = register, port, tmp_path, port.lane("lane 1", "exit")
    it.face = picture("u0022")
    it.gallery = clearlane.Gallery(4)
    it.gallery.add([5], np.eye(1, 4, dtype=np.float32))
    return it


@pytest.fixture(scope="module")
def onnx():
    from conftest import ROOT

    return (ROOT / "models/embedder.onnx").read_bytes()


@pytest.fixture(scope="module")
def network(onnx):
    return clearlane.Network(onnx, (3, 112, 112))


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_refused_with_words(name, it, onnx, network):
    it.onnx, it.network = onnx, network
    with pytest.raises(REFUSED) as refusal:
        BAD_CALLS[name](it)
    assert len(str(refusal.value)) > 10 and not isinstance(refusal.value, clearlane.InternalError)
    # What was refused changed nothing.
    assert len(it.port) == 8 and len(it.gallery) == 1 and it.port.records() == []


def written():
    """The page, and the place of the Python table in it."""
    page = ROOT / "docs/bad-inputs.md"
    text = page.read_text(encoding="utf-8")
    table = re.compile(r"(?<=\n## Python\n\n)(\|[^\n]*\n)*")
    return page, text, table.search(text).span()


def test_the_page_says_what_bad_input_gets(it, onnx, network):
    it.onnx, it.network = onnx, network
    rows = [("input", "exception", "it says"), ("---", "---", "---")]
    calls = {f"picture: {name}": lambda it, bad=bad: it.port.identify(bad) for name, (bad, _) in BAD_PICTURES.items()}
    for name, call in {**calls, **BAD_CALLS}.items():
        with pytest.raises(REFUSED) as refusal:
            call(it)
        words = str(refusal.value).splitlines()[0].replace(str(it.folder), "DIR").replace(str(ROOT), "ROOT")
        # Where an object lies, and the numbers of lines, differ from run to run and from version to version.
        words = re.sub(r"0x[0-9a-f]+", "0x…", words).replace("|", "\\|")
        rows.append((name, f"`{type(refusal.value).__name__}`", words))
    made = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    page, text, (begin, end) = written()
    if os.environ.get("CLEARLANE_WRITE_TABLES"):
        page.write_text(text[:begin] + made + text[end:], encoding="utf-8")
    else:
        assert made.splitlines() == text[begin:end].splitlines(), "CLEARLANE_WRITE_TABLES=1 writes the table anew"
