#!/usr/bin/env python3
"""Judges what a chaos trial wrote down, by nothing but its logs.

usage: check.py FOLDER [BOUND_SECONDS]

1. Every answer is either incomplete, with a reason and without candidates, or complete, with a position of every partition.
2. No complete answer has a subject whose revocation was acknowledged before the answer came, less the bound.
3. Every subject whose enrolment the head of an answer has in it, and whose revocation nobody asked for before the answer came, is
   the best candidate for a capture of its face. The same for every enrolment that was acknowledged before the question, less
   the bound, whatever the position says.
   Both hold for those who ask the nodes and for the lane that follows the gallery itself (answers-lane.jsonl).
4. After the trial, everybody whose enrolment was acknowledged, and whose revocation nobody asked for, is found.
"""
import json
import sys
from pathlib import Path


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def main():
    folder = Path(sys.argv[1])
    bound = float(sys.argv[2]) * 1e6 if len(sys.argv) > 2 else 5e6
    changes, answers = lines(folder / "changes.jsonl"), lines(folder / "answers.jsonl")
    lane = folder / "answers-lane.jsonl"
    followed = lines(lane) if lane.exists() else []
    after, events = lines(folder / "after.jsonl"), lines(folder / "events.jsonl")
    enrolled, revoked, leaving = {}, {}, {}
    for change in changes:
        if change["op"] == "enrol" and "acknowledged" in change:
            enrolled[change["face"]] = change
        if change["op"] == "revoke":
            # From here on the subject may be in a list or not, until the acknowledgement and the bound have passed.
            leaving[change["face"]] = change["asked"]
            if "acknowledged" in change:
                revoked[change["subject"]] = change["acknowledged"]
    partitions = {change["partition"] for change in changes if "partition" in change}
    wrong = []

    def judge(answer, last):
        if not answer["complete"]:
            if not answer.get("why") or "candidates" in answer:
                wrong.append(("incomplete, and not said to be", answer))
            return False
        positions = dict(map(tuple, answer["positions"]))
        if set(positions) != partitions or len(answer["positions"]) != len(partitions):
            wrong.append(("complete without all partitions", answer))
        if answer["age"] > bound:
            wrong.append(("complete and too old", answer))
        for subject, _ in answer["candidates"]:
            if answer["answered"] > revoked.get(subject, float("inf")) + bound:
                wrong.append(("revoked and found", answer))
        known = enrolled.get(answer["face"])
        if known and leaving.get(answer["face"], float("inf")) > answer["answered"]:
            due = positions.get(known["partition"], -1) >= known["head"]
            due = due or last or answer["asked"] > known["acknowledged"] + bound
            if due and (not answer["candidates"] or answer["candidates"][0][0] != known["subject"]):
                wrong.append(("enrolled and not found", answer))
        return True

    complete = sum(judge(answer, False) for answer in answers)
    alone = sum(judge(answer, False) for answer in followed)
    found = sum(judge(answer, True) for answer in after)
    if found != len(after):
        wrong.append(("after the trial", f"{len(after) - found} of {len(after)} answers are incomplete"))
    absent = [face for face in enrolled if face not in leaving and face not in {answer["face"] for answer in after}]
    if absent:
        wrong.append(("not asked for after the trial", absent[:10]))
    late = [answer["answered"] - revoked[subject] for answer in answers + followed if answer["complete"]
            for subject, _ in answer["candidates"] if answer["answered"] > revoked.get(subject, float("inf"))]
    took = [(answer["answered"] - answer["asked"]) / 1000 for answer in answers if answer["complete"]]
    waited = [(change["acknowledged"] - change["asked"]) / 1000 for change in changes if "acknowledged" in change]
    kinds = {}
    for event in events:
        kinds[event["event"]] = kinds.get(event["event"], 0) + 1
    whys = {}
    for answer in answers + followed:
        if not answer["complete"]:
            why = answer["why"].split(": ", 2)[-1].split(" as of ")[0]
            whys[why] = whys.get(why, 0) + 1
    lasted = (events[-1]["t"] - events[0]["t"]) / 1e6
    print(f"trial            {lasted:.0f} s; " + ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items())))
    unacknowledged = sum("error" in change for change in changes)
    print(f"changes          {len(changes)}, {unacknowledged} not acknowledged; acknowledged after "
          f"p50 {percentile(waited, .5):.1f} ms, p99 {percentile(waited, .99):.0f} ms, most {max(waited):.0f} ms")
    print(f"answers          {len(answers)}, complete {complete} ({100 * complete / max(1, len(answers)):.2f} %); complete after "
          f"p50 {percentile(took, .5):.1f} ms, p99 {percentile(took, .99):.0f} ms")
    print(f"of a lane alone  {len(followed)}, complete {alone} ({100 * alone / max(1, len(followed)):.2f} %)")
    print("incomplete       " + (", ".join(f"{count} x {why}" for why, count in sorted(whys.items())) or "none"))
    print(f"revoked, within the bound still found  {len(late)} times, "
          f"{max(late, default=0) / 1e6:.2f} s after the acknowledgement at most (bound {bound / 1e6:g} s)")
    print(f"after the trial  {found} of {len(after)} found")
    for what, which in wrong[:20]:
        print("WRONG", what, json.dumps(which)[:600])
    print("WRONG" if wrong else "all promises kept", f"({len(wrong)})" if wrong else "")
    sys.exit(1 if wrong else 0)


main()
