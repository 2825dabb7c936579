"""One port, four lanes on threads: fictional people are enrolled and pass, unknown ones are referred.

Run from anywhere: python four_lanes.py [DATASETS [POLICY]]. The register lives in a temporary folder.
"""

import secrets
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clearlane

root = Path(__file__).resolve().parents[3]
people = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "datasets/fictional"
policy = sys.argv[2] if len(sys.argv) > 2 else root / "policies/demonstration.toml"
enrolled, unknown = (sorted((people / kind).iterdir())[:8] for kind in ("enrolled", "unknown"))

with tempfile.TemporaryDirectory() as folder:
    key = secrets.token_bytes(32)  # A port keeps it in a file, or asks a key server for it.
    with clearlane.Port(f"{folder}/port.register", keys=key, policy=policy, create=True) as port:
        for person in enrolled:
            permit = {
                "kind": "exit-entry-permit-hk-macao", "expires": "2199-12-31",
                "number_digest": port.number_digest("exit-entry-permit-hk-macao", person.name),
                "endorsements": [{"kind": "family-visit", "entries": "multiple", "expires": "2199-12-31"}],
            }  # fmt: skip
            details = {
                "category": "mainland-resident", "birth": "1990-05-17", "documents": [permit],
                "consent": {"given": "2025-01-01T00:00:00Z", "scope": {"face": True, "fingerprint": False}},
            }  # fmt: skip
            port.enrol(person.name, [clearlane.read_picture(person / "enrol.jpg")], details=details)

        lanes = [port.lane(f"lane {number}", "exit") for number in range(1, 5)]

        def traveller(number: int, person: Path) -> str:
            lane = lanes[number % len(lanes)]
            passage = lane.pass_frames([clearlane.read_picture(person / "plain-1.jpg")])
            shown = "admitted" if passage.admitted else ", ".join(reason.en for reason in passage.reasons)
            return f"{lane.name}: {person.name}: {shown}"

        with ThreadPoolExecutor(len(lanes)) as threads:
            print(*threads.map(traveller, *zip(*enumerate(enrolled + unknown))), sep="\n")
        print(f"{len(port)} references, {port.metrics()['admitted']} admitted, {port.metrics()['referred']} referred")
        print(port.print_record(enrolled[0].name))
