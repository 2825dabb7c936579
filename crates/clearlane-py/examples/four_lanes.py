"""One port, four lanes on threads: fictional people are enrolled and pass, unknown ones are referred."""

import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clearlane

root = Path(__file__).resolve().parents[3]
enrolled, unknown = (sorted((root / "datasets/fictional" / kind).iterdir())[:8] for kind in ("enrolled", "unknown"))
PERMIT = "exit-entry-permit-hk-macao"
ENDORSEMENT = {"kind": "family-visit", "entries": "multiple", "expires": "2199-12-31"}
CONSENT = {"given": "2025-01-01T00:00:00Z", "scope": {"face": True, "fingerprint": False}}


def traveller(lane: clearlane.Lane, person: Path) -> str:
    passage = lane.pass_frames([clearlane.read_picture(person / "plain-1.jpg")])
    shown = "admitted" if passage.admitted else ", ".join(reason.en for reason in passage.reasons)
    return f"{lane.name}: {person.name}: {shown}"


# The key is made for the demonstration; a port keeps it in a file, or asks a key server for it.
keys, policy = secrets.token_bytes(32), root / "policies/demonstration.toml"
with tempfile.TemporaryDirectory() as folder:
    with clearlane.Port(f"{folder}/port.register", keys=keys, policy=policy, create=True) as port:
        for person in enrolled:
            number = port.number_digest(PERMIT, person.name)
            permit = {"kind": PERMIT, "number_digest": number, "expires": "2199-12-31", "endorsements": [ENDORSEMENT]}
            details = {"category": "mainland-resident", "birth": "1990-05-17", "documents": [permit], "consent": CONSENT}
            port.enrol(person.name, [clearlane.read_picture(person / "enrol.jpg")], details=details)

        lanes = [port.lane(f"lane {number}", "exit") for number in (1, 2, 3, 4)]
        with ThreadPoolExecutor(len(lanes)) as threads:
            print(*threads.map(traveller, 4 * lanes, enrolled + unknown), sep="\n")
        metrics = port.metrics()
        print(f"{len(port)} references, {metrics['admitted']} admitted, {metrics['referred']} referred")
        print(port.print_record(enrolled[0].name))
