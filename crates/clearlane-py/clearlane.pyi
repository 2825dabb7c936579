"""Face matching for document-free border lanes: ports, lanes, search and inference over NumPy arrays."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

__version__: str

_Path = str | PathLike[str]
_Picture = NDArray[np.uint8]
_Order = Literal["rgb", "bgr", "rgba", "bgra", "yuyv", "uyvy", "nv12", "i420"]
_Mode = Literal["certified", "exhaustive", "sketch"]
_Selection = Literal["only", "largest", "central"]
_Orientation = Literal["given", "auto"]
_Direction = Literal["entry", "exit"]

class Error(Exception):
    """What clearlane raises. The subclasses say who is at fault."""

class InputError(Error):
    """An argument is wrong, or the object was closed: the caller's fault."""

class PictureError(Error):
    """The picture cannot be read, or shows no usable face."""

class ConfigurationError(Error):
    """The policy, the keys, the models or their calibration are wrong, missing, or do not fit together."""

class RegisterError(Error):
    """The register or its disk failed; nothing was half done."""

class InternalError(Error):
    """A defect of clearlane."""

def read_picture(path: _Path, *, max_pixels: int = ...) -> _Picture:
    """Reads a picture file, or a chip's portrait (DG2), as RGB, height x width x 3, upright."""

def decode_picture(data: bytes, *, max_pixels: int = ...) -> _Picture:
    """Reads a picture from the bytes of a file, as `read_picture` does."""

def verify(
    a: _Picture,
    b: _Picture,
    *,
    fmr: float = 1e-4,
    population: str | None = None,
    threshold: float | None = None,
    order: _Order = "rgb",
) -> Verification:
    """Whether two pictures show one person (1:1), by the built-in models."""

@final
class Port:
    """An opened port: one gallery, one register and one set of models, which all of its lanes share."""

    def __new__(
        cls,
        register: _Path,
        *,
        keys: _Path | bytes | Callable[[str | None], bytes | None] | None = None,
        witness: _Path | None = None,
        gallery_file: _Path | None = None,
        policy: _Path | None = None,
        port: str | None = None,
        models: Sequence[_Path] = ...,
        detector: str | None = None,
        embedder: str | None = None,
        pad: Sequence[str] = ...,
        selection: _Selection = "largest",
        orientation: _Orientation = "given",
        min_face: float | None = None,
        detector_size: int | None = None,
        flip: bool = False,
        claim_issuer: _Path | None = None,
        create: bool = False,
        read_only: bool = False,
        check: bool = True,
        add_model: bool = False,
        mode: _Mode = "certified",
        miss: float = 1e-9,
        parallel: bool = False,
    ) -> Port: ...
    def lane(self, name: str, direction: _Direction, *, rotation: Literal[0, 90, 180, 270] = 0) -> Lane:
        """A lane of this port."""

    def identify(
        self,
        frame: _Picture,
        *,
        fpir: float = 3e-3,
        population: str | None = None,
        margin: float = 0.05,
        candidates: int = 2,
        order: _Order = "rgb",
    ) -> Identification:
        """Says whom a picture shows (1:N) without opening a gate."""

    def enrol(
        self,
        key: str,
        pictures: Sequence[_Picture],
        *,
        details: Mapping[str, Any] | None = None,
        order: _Order = "rgb",
    ) -> Enrolment:
        """Enrols a subject by the rules of the port's policy."""

    def number_digest(self, kind: str, number: str) -> str:
        """The keyed digest of a document's number, for the details of an enrolment."""

    def subject(self, key: str) -> dict[str, Any] | None:
        """The subject that is enrolled under `key`."""

    def poll(self) -> dict[str, Any]:
        """Brings in what this or another process changed in the register."""

    def check(self) -> dict[str, Any]:
        """Checks the whole register."""

    def records(
        self,
        *,
        subject: int | None = None,
        port: str | None = None,
        direction: _Direction | None = None,
        outcome: Literal["admit", "refer"] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """The crossing records that fit all that is given, the oldest first."""

    def print_record(self, key: str, direction: _Direction | None = None) -> PrintedRecord | None:
        """The last passage that a lane admitted somebody to, ready to be printed."""

    def verify_records(self) -> dict[str, Any]:
        """Verifies the whole chain of crossing records."""

    def metrics(self) -> dict[str, Any]:
        """What the lanes counted and how long their stages took."""

    def to_prometheus(self) -> str:
        """What the lanes counted, and what is known of the port, in Prometheus' text format (version 0.0.4)."""

    def close(self) -> None:
        """Closes the register, and the port's lanes and sessions with it."""

    @property
    def sound(self) -> bool: ...
    @property
    def id(self) -> str | None: ...
    @property
    def model(self) -> str: ...
    @property
    def subjects(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def __len__(self) -> int: ...
    def __enter__(self) -> Port: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class Lane:
    """One lane of a port, from `Port.lane`: it says of each traveller whether the gate opens, and records it."""

    def pass_frames(
        self,
        frames: Sequence[_Picture],
        *,
        evidence: Sequence[Evidence] = ...,
        budget: float | None = None,
        order: _Order = "rgb",
    ) -> Passage:
        """The traveller shows nothing (1:N)."""

    def verify_document(
        self,
        kind: str,
        number: str,
        portrait: _Picture,
        frames: Sequence[_Picture],
        *,
        evidence: Sequence[Evidence] = ...,
        budget: float | None = None,
        order: _Order = "rgb",
    ) -> Passage:
        """The traveller shows a document (1:1)."""

    def verify_claim(
        self,
        claim_frames: Sequence[_Picture],
        frames: Sequence[_Picture],
        *,
        evidence: Sequence[Evidence] = ...,
        budget: float | None = None,
        order: _Order = "rgb",
    ) -> Passage:
        """The traveller shows a claim, a QR code (1:1)."""

    def passage(self, *, patience: float | None = None, order: _Order = "rgb") -> PassageSession:
        """A passage that takes frames one by one and decides as soon as it may."""

    @property
    def name(self) -> str: ...
    @property
    def direction(self) -> _Direction: ...

@final
class PassageSession:
    """One traveller before the camera, from `Lane.passage`."""

    def frame(self, frame: _Picture) -> Guidance | Passage:
        """Takes the next frame."""

    def evidence(self, evidence: Evidence) -> Passage | None:
        """Takes another matcher's score for whom the traveller turns out to be."""

    def finish(self) -> Passage:
        """Decides with the frames that came, and ends the session."""

@final
class Evidence:
    """Another matcher's comparison of a traveller with one subject's reference."""

    def __new__(cls, matcher: str, subject: int, score: float) -> Evidence: ...

@final
class Passage:
    """A decided and recorded passage. The gate opens where `admitted` is true, and only there."""

    @property
    def admitted(self) -> bool: ...
    @property
    def subject(self) -> int | None: ...
    @property
    def reasons(self) -> list[Reason]: ...
    @property
    def comparison(self) -> Comparison | None: ...
    @property
    def time(self) -> datetime: ...
    @property
    def record(self) -> int | None: ...
    @property
    def times(self) -> dict[str, int]: ...
    def to_dict(self) -> dict[str, Any]:
        """The whole passage as a dictionary that the `json` module takes."""

@final
class Comparison:
    """The comparison behind a decision."""

    @property
    def subject(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def threshold(self) -> float: ...
    @property
    def margin(self) -> float | None: ...

@final
class Reason:
    """Why a traveller is referred to an officer, or an applicant not enrolled."""

    @property
    def code(self) -> str: ...
    @property
    def en(self) -> str: ...
    @property
    def zh(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...

@final
class Guidance:
    """What a traveller should do so that the next frame is better."""

    @property
    def code(self) -> str: ...
    @property
    def en(self) -> str: ...
    @property
    def zh(self) -> str: ...

@final
class Identification:
    """The outcome of a 1:N search by `Port.identify`."""

    @property
    def subject(self) -> int | None: ...
    @property
    def candidates(self) -> list[Candidate]: ...
    @property
    def margin(self) -> float | None: ...
    @property
    def threshold(self) -> float: ...
    @property
    def complete(self) -> bool: ...
    @property
    def reasons(self) -> list[Reason]: ...
    @property
    def times(self) -> dict[str, int]: ...

@final
class Candidate:
    """A subject whom a search found."""

    @property
    def subject(self) -> int: ...
    @property
    def template(self) -> int: ...
    @property
    def score(self) -> float: ...

@final
class Verification:
    """The outcome of a 1:1 comparison."""

    @property
    def verified(self) -> bool: ...
    @property
    def score(self) -> float: ...
    @property
    def threshold(self) -> float: ...
    @property
    def population(self) -> str | None: ...

@final
class Enrolment:
    """What an application for enrolment came to."""

    @property
    def outcome(self) -> Literal["enrolled", "already-enrolled", "refer"]: ...
    @property
    def subject(self) -> int | None: ...
    @property
    def templates(self) -> list[int]: ...
    @property
    def reasons(self) -> list[Reason]: ...

@final
class PrintedRecord:
    """A traveller's last passage, ready to be printed: as text by `str()`, or as a page."""

    @property
    def record(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def direction(self) -> _Direction: ...
    @property
    def html(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """As a dictionary that the `json` module takes."""

@final
class Extractor:
    """Makes templates of pictures: detects, aligns and embeds the face."""

    def __new__(
        cls,
        *,
        models: Sequence[_Path] = ...,
        detector: str | None = None,
        embedder: str | None = None,
        selection: _Selection = "only",
        orientation: _Orientation = "given",
        min_face: float | None = None,
        detector_size: int | None = None,
        flip: bool = False,
    ) -> Extractor: ...
    def template(self, picture: _Picture, *, order: _Order = "rgb") -> NDArray[np.float32]:
        """The template of the face in a picture: a unit vector."""

    def doubts(self, picture: _Picture, *, order: _Order = "rgb") -> list[dict[str, Any]]:
        """What makes scores with the face in a picture doubtful, worst first."""

    def verify(
        self,
        a: _Picture,
        b: _Picture,
        *,
        fmr: float = 1e-4,
        population: str | None = None,
        threshold: float | None = None,
        order: _Order = "rgb",
    ) -> Verification:
        """Whether two pictures show one person (1:1)."""

    @property
    def dimension(self) -> int: ...
    @property
    def model(self) -> str: ...

@final
class Gallery:
    """Embeddings in memory, searched by cosine similarity."""

    def __new__(
        cls,
        dimension: int,
        *,
        precision: Literal["f32", "f16", "i8"] = "f32",
        memory_limit: int | None = None,
        certified_codes: bool = True,
    ) -> Gallery: ...
    def add(self, ids: Sequence[int] | NDArray[np.integer[Any]], embeddings: NDArray[np.float32]) -> None:
        """Adds embeddings, N x dimension, all of them or, on an error, none."""

    def remove(self, id: int) -> int:
        """Takes all rows of an id out, and returns how many there were."""

    def search(
        self,
        probe: NDArray[np.float32],
        k: int = 10,
        *,
        threshold: float = -1.0,
        mode: _Mode = "certified",
        miss: float = 1e-9,
        budget: float | None = None,
        parallel: bool = False,
    ) -> SearchResult:
        """The best ids for a probe."""

    def search_many(
        self,
        probes: NDArray[np.float32],
        k: int = 10,
        *,
        threshold: float = -1.0,
        mode: _Mode = "certified",
        miss: float = 1e-9,
        budget: float | None = None,
        parallel: bool = False,
    ) -> list[SearchResult]:
        """The best ids for each of several probes, in one pass over memory."""

    @property
    def dimension(self) -> int: ...
    @property
    def subjects(self) -> int: ...
    @property
    def memory(self) -> int: ...
    def __len__(self) -> int: ...

@final
class SearchResult:
    """What a search found."""

    @property
    def ids(self) -> NDArray[np.uint64]: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    @property
    def complete(self) -> bool: ...
    @property
    def scanned(self) -> tuple[int, int] | None: ...
    def __len__(self) -> int: ...

@final
class Network:
    """An ONNX network that takes one batch of images, ready to run from any number of threads."""

    def __new__(
        cls,
        onnx: _Path | bytes,
        input: tuple[int, int, int],
        *,
        backend: str = "auto",
        refit: bool = False,
    ) -> Network: ...
    def run(self, images: NDArray[np.float32], *, parallel: bool = False) -> list[NDArray[np.float32]]:
        """Runs a batch of images, N x channels x height x width."""

    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def outputs(self) -> list[tuple[str, list[int]]]: ...
    @property
    def nodes(self) -> list[tuple[str, str, Literal["kernels", "tract"]]]: ...
