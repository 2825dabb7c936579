"""Ports, lanes, sessions and records, on fictional people."""

import datetime
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ENROLLED, KEY, PERMIT, POLICY, ROOT, UNKNOWN, details, open_port, picture

import clearlane


def codes(answer):
    return [reason.code for reason in answer.reasons]


def test_enrolled_people_pass_and_unknown_ones_are_referred(port, subjects):
    lane = port.lane("lane 1", "exit")
    for person in ENROLLED:
        passage = lane.pass_frames([picture(person)])
        assert passage.admitted and passage.subject == subjects[person], passage
        assert passage.comparison.score >= passage.comparison.threshold
        assert passage.reasons == []
    for person in UNKNOWN:
        passage = lane.pass_frames([picture(person)])
        assert not passage.admitted and codes(passage) == ["no-candidate"], passage
        assert passage.reasons[0].zh == "未匹配到备案人员"
        assert passage.reasons[0].data["reason"] == "no-candidate"


def test_a_passage_is_plain_data_with_a_time(port):
    passage = port.lane("lane 1", "exit").pass_frames([picture(ENROLLED[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs(now - passage.time) < datetime.timedelta(minutes=1)
    plain = json.loads(json.dumps(passage.to_dict()))
    assert plain["decision"] == "admit" and plain["record"] == passage.record
    assert plain["times"] == passage.times and passage.times["total"] > 0


def test_four_lanes_on_threads_share_one_gallery(port):
    lanes = [port.lane(f"lane {number}", "exit") for number in range(4)]
    people = 4 * (ENROLLED + UNKNOWN)
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(lanes[i % 4].pass_frames, [picture(who)]) for i, who in enumerate(people)]
        admitted = [job.result().admitted for job in jobs]
    assert admitted == [who in ENROLLED for who in people]
    metrics = port.metrics()
    assert (metrics["admitted"], metrics["referred"]) == (4 * len(ENROLLED), 4 * len(UNKNOWN))
    lines = port.to_prometheus().splitlines()
    assert f"clearlane_gallery_templates {len(ENROLLED)}" in lines and "clearlane_register_sound 1" in lines


def test_a_session_guides_the_traveller_and_decides(port, subjects):
    session = port.lane("lane 1", "entry").passage(patience=60)
    guidance = session.frame(np.zeros((360, 360, 3), np.uint8))
    assert isinstance(guidance, clearlane.Guidance)
    assert (guidance.code, guidance.en, guidance.zh) == ("show-face", "look at the camera", "请面向摄像头")
    steps = [session.frame(picture(ENROLLED[1], f"plain-{number}")) for number in (1, 2, 3)]
    passage = steps[-1]
    assert isinstance(passage, clearlane.Passage) and passage.admitted, steps
    assert passage.subject == subjects[ENROLLED[1]]
    assert session.finish().record == passage.record


def test_a_session_without_a_face_refers_when_it_is_finished(port):
    session = port.lane("lane 1", "entry").passage()
    session.frame(np.zeros((360, 360), np.uint8))
    assert codes(session.finish()) == ["no-face"]


def test_another_matcher_completes_a_session(register, subjects, tmp_path):
    rules = POLICY.read_text().replace('rule = "face-only"', 'rule = "both"')
    policy = tmp_path / "policy.toml"
    policy.write_text(rules + '\n[[evidence]]\nmatcher = "fingerprint"\nthreshold = 40\nsource = "Ours."\n')
    with open_port(register, policy=policy) as port:
        lane, subject = port.lane("lane 1", "exit"), subjects[ENROLLED[2]]
        finger = clearlane.Evidence("fingerprint", subject, 55.5)
        frames = [picture(ENROLLED[2])]
        assert codes(lane.pass_frames(frames)) == ["evidence-missing"]
        assert lane.pass_frames(frames, evidence=[finger]).admitted
        low = clearlane.Evidence("fingerprint", subject, 12.0)
        assert codes(lane.pass_frames(frames, evidence=[low])) == ["evidence-too-low"]

        session = lane.passage(patience=60)
        assert session.frame(frames[0]).code == "other-check"
        passage = session.evidence(finger)
        assert passage.admitted and passage.subject == subject


def test_a_document_names_its_holder(port):
    lane, holder, other = port.lane("lane 1", "exit"), ENROLLED[0], ENROLLED[1]
    portrait = picture(holder, "enrol")
    assert lane.verify_document(PERMIT, holder, portrait, [picture(holder)]).admitted
    assert codes(lane.verify_document(PERMIT, holder, portrait, [picture(other)])) == ["not-matched"]
    assert codes(lane.verify_document(PERMIT, "nobody's", portrait, [picture(holder)])) == ["not-enrolled"]


def test_a_frame_without_a_code_shows_no_claim(port):
    frames = [picture(ENROLLED[0])]
    assert codes(port.lane("lane 1", "exit").verify_claim(frames, frames)) == ["no-claim"]


def test_identification_lists_candidates_and_opens_no_gate(port, subjects):
    found = port.identify(picture(ENROLLED[3]), fpir=0.01, margin=0.05)
    assert found.subject == found.candidates[0].subject == subjects[ENROLLED[3]]
    assert found.complete and found.reasons == [] and found.candidates[0].score >= found.threshold
    unknown = port.identify(picture(UNKNOWN[0]))
    assert unknown.subject is None and codes(unknown) == ["no-candidate"]
    assert port.records() == []


def test_the_same_face_is_enrolled_once(port):
    pictures = [picture(ENROLLED[0], "enrol")]
    again = port.enrol(ENROLLED[0], pictures, details=details(port, ENROLLED[0]))
    assert again.outcome == "already-enrolled"
    other = port.enrol("another name", pictures, details=details(port, "another"))
    assert other.outcome == "refer" and codes(other) == ["duplicate-face"]
    assert codes(port.enrol("nobody", [picture(UNKNOWN[0])])) == ["no-consent"]


def test_details_take_python_dates(port):
    given = details(port, UNKNOWN[1])
    given["birth"] = datetime.date(1990, 5, 17)
    given["consent"]["given"] = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
    assert port.enrol(UNKNOWN[1], [picture(UNKNOWN[1])], details=given).outcome == "enrolled"
    subject = port.subject(UNKNOWN[1])
    assert subject["birth"] == "1990-05-17" and subject["consent"]["given"] == "2025-01-01T00:00:00Z"
    assert port.subject("nobody") is None


def test_records_are_listed_verified_and_printed(port, subjects):
    lane, person = port.lane("lane 7", "exit"), ENROLLED[4]
    for who in (person, UNKNOWN[0], person):
        lane.pass_frames([picture(who)])
    assert [record["outcome"] for record in port.records()] == ["admit", "refer", "admit"]
    assert [record["seq"] for record in port.records(subject=subjects[person], limit=1)] == [3]
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    assert port.records(since=tomorrow) == [] and len(port.records(until=tomorrow, outcome="refer")) == 1
    assert port.verify_records() == {"sound": True, "records": 3, "keyed": True, "problems": []}

    printed = port.print_record(person)
    assert printed.record == 3 and printed.direction == "exit"
    assert person in str(printed) and printed.code in str(printed)
    assert printed.html.startswith("<!doctype html>") and "lane 7" in printed.html
    assert printed.to_dict()["lane"] == "lane 7"
    assert port.print_record(person, "entry") is None and port.print_record(ENROLLED[5]) is None


def test_a_port_follows_what_another_brought(register):
    with open_port(register) as one, open_port(register) as other:
        one.enrol(UNKNOWN[2], [picture(UNKNOWN[2])], details=details(one, UNKNOWN[2]))
        assert other.poll()["added"] == 1 and other.poll()["added"] == 0
        assert other.lane("lane 1", "exit").pass_frames([picture(UNKNOWN[2])]).admitted


def test_rows_in_a_file_give_the_same_answers(register, subjects, tmp_path):
    rows = tmp_path / "port.gallery"
    scores = []
    for options in [{}, {"gallery_file": rows}, {"gallery_file": rows}]:
        with open_port(register, **options) as port:
            passage = port.lane("lane 1", "exit").pass_frames([picture(ENROLLED[0])])
            assert passage.subject == subjects[ENROLLED[0]]
            scores.append(passage.comparison.score)
    assert rows.stat().st_size > 0
    assert scores[1] == scores[2] and abs(scores[0] - scores[1]) < 0.01
    other = tmp_path / "notes.txt"
    other.write_text("no gallery")
    with pytest.raises(clearlane.Error, match="notes.txt"):
        open_port(register, gallery_file=other)
    assert other.read_text() == "no gallery"


def test_no_lane_opens_before_a_check(register):
    with open_port(register, check=False) as port:
        lane = port.lane("lane 1", "exit")
        assert not port.sound and codes(lane.pass_frames([picture(ENROLLED[0])])) == ["register-not-sound"]
        report = port.check()
        assert report["sound"] and report["templates"] == len(ENROLLED) and report["problems"] == []
        assert port.sound and lane.pass_frames([picture(ENROLLED[0])]).admitted


def test_keys_come_from_a_file_or_a_function(register, tmp_path):
    file = tmp_path / "register.key"
    file.write_text(KEY.hex())
    file.chmod(0o600)
    asked = []

    def server(key_id):
        asked.append(key_id)
        return KEY

    for keys in (file, str(file), server):
        with open_port(register, keys=keys) as port:
            assert port.sound
    assert asked and all(key_id is None or len(key_id) == 16 for key_id in asked)

    def failing(key_id):
        raise OSError("the key server is down")

    with pytest.raises(clearlane.ConfigurationError, match="the key server is down"):
        open_port(register, keys=failing)
    with pytest.raises(clearlane.ConfigurationError, match="key source does not have it"):
        open_port(register, keys=lambda key_id: None)


def test_errors_say_who_is_at_fault(register, tmp_path):
    with pytest.raises(clearlane.RegisterError, match="nowhere"):
        open_port(tmp_path / "nowhere" / "port.register")
    with pytest.raises(clearlane.ConfigurationError, match="no port `macao`; it has shenzhen-bay"):
        open_port(register, port="macao")
    with pytest.raises(clearlane.ConfigurationError, match="no model is named `best`"):
        open_port(register, embedder="best")
    with open_port(register, policy=None) as port:
        assert port.id is None and port.identify(picture(ENROLLED[0])).subject is not None
        with pytest.raises(clearlane.InputError, match="without a policy"):
            port.lane("lane 1", "exit")
        with pytest.raises(clearlane.ConfigurationError, match="without a policy"):
            port.enrol("nobody", [picture(UNKNOWN[0])])
    for error in ("InputError", "PictureError", "ConfigurationError", "RegisterError", "InternalError"):
        assert issubclass(getattr(clearlane, error), clearlane.Error)


def test_what_is_closed_says_so(register):
    port = open_port(register)
    lane, session = port.lane("lane 1", "exit"), port.lane("lane 2", "exit").passage()
    frame = picture(ENROLLED[0])
    port.close()
    port.close()
    assert port.closed and repr(port) == "Port(closed)"
    calls = [
        lambda: port.lane("lane 3", "exit"),
        lambda: port.identify(frame),
        lambda: port.enrol("x", [frame]),
        lambda: port.poll(),
        lambda: port.check(),
        lambda: port.records(),
        lambda: port.metrics(),
        lambda: port.to_prometheus(),
        lambda: port.print_record("x"),
        lambda: port.sound,
        lambda: len(port),
        lambda: lane.pass_frames([frame]),
        lambda: lane.passage(),
        lambda: session.frame(frame),
        lambda: session.finish(),
    ]
    for call in calls:
        with pytest.raises(clearlane.InputError, match="the port is closed"):
            call()
    with open_port(register) as again:
        session = again.lane("lane 1", "exit").passage()
        session.finish()
        with pytest.raises(clearlane.InputError, match="the session has ended"):
            session.frame(frame)


def test_the_four_lanes_example_runs():
    script = ROOT / "crates/clearlane-py/examples/four_lanes.py"
    shown = subprocess.run([sys.executable, script], capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert shown.returncode == 0, shown.stderr
    assert "8 references, 8 admitted, 8 referred" in shown.stdout
    assert "not found among those enrolled" in shown.stdout


@pytest.mark.parametrize(
    ("served", "missing"),
    [(["fictional-people"], None), (["east-asian-adults"], "east-asian-adults"), (["fictional-people", "elders"], "elders")],
)
def test_a_port_opens_for_those_on_whom_its_model_was_calibrated_and_for_no_other(register, tmp_path, served, missing):
    rules = POLICY.read_text()
    assert '["fictional-people"]' in rules
    policy = tmp_path / "policy.toml"
    policy.write_text(rules.replace('["fictional-people"]', json.dumps(served)))
    if missing is None:
        with open_port(register, policy=policy) as port:
            assert port.lane("lane 1", "exit").pass_frames([picture(ENROLLED[0])]).admitted
    else:
        with pytest.raises(clearlane.ConfigurationError, match=f"`{missing}`.*`fictional-people`.*clearlane calibrate"):
            open_port(register, policy=policy)


def test_an_identification_is_for_the_population_that_is_asked_for(register, subjects):
    face = picture(ENROLLED[0])
    for policy in [None, POLICY]:
        with open_port(register, policy=policy) as port:
            found = port.identify(face, population="fictional-people")
            assert found.subject == subjects[ENROLLED[0]]
            assert found.threshold == port.identify(face).threshold
            with pytest.raises(clearlane.ConfigurationError, match="`elders`"):
                port.identify(face, population="elders")
            with pytest.raises(clearlane.InputError, match="population"):
                port.identify(face, population="No Body")
