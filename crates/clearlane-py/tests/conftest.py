"""One register with eight fictional people, made once; tests open ports on copies of it."""

import shutil
from pathlib import Path

import pytest

import clearlane

ROOT = Path(__file__).resolve().parents[3]
PEOPLE = ROOT / "datasets/fictional"
POLICY = ROOT / "policies/demonstration.toml"
KEY = bytes(range(32))
PERMIT = "exit-entry-permit-hk-macao"
ENROLLED = sorted(path.name for path in (PEOPLE / "enrolled").iterdir())[:8]
UNKNOWN = sorted(path.name for path in (PEOPLE / "unknown").iterdir())[:4]


def picture(person, name="plain-1"):
    kind = "enrolled" if (PEOPLE / "enrolled" / person).exists() else "unknown"
    return clearlane.read_picture(PEOPLE / kind / person / f"{name}.jpg")


def details(port, person):
    """What the rules of the demonstration accept."""
    endorsement = {"kind": "family-visit", "entries": "multiple", "expires": "2199-12-31"}
    permit = {
        "kind": PERMIT,
        "number_digest": port.number_digest(PERMIT, person),
        "expires": "2199-12-31",
        "endorsements": [endorsement],
    }
    consent = {"given": "2025-01-01T00:00:00Z", "scope": {"face": True, "fingerprint": False}}
    return {"category": "mainland-resident", "birth": "1990-05-17", "documents": [permit], "consent": consent}


def open_port(register, **options):
    return clearlane.Port(register, **{"keys": KEY, "policy": POLICY, **options})


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """The register's file and the number of each person."""
    register = tmp_path_factory.mktemp("port") / "port.register"
    with open_port(register, create=True) as port:
        subjects = {}
        for person in ENROLLED:
            enrolment = port.enrol(person, [picture(person, "enrol")], details=details(port, person))
            assert enrolment.outcome == "enrolled", enrolment
            subjects[person] = enrolment.subject
    return register, subjects


@pytest.fixture
def register(filled, tmp_path):
    """A copy of the register of its own for one test."""
    return shutil.copy(filled[0], tmp_path / "port.register")


@pytest.fixture
def subjects(filled):
    return filled[1]


@pytest.fixture
def port(register):
    with open_port(register) as port:
        yield port


@pytest.fixture(scope="session")
def extractor():
    return clearlane.Extractor()
