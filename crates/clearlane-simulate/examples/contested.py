"""Reads what `contested` wrote and says whether anybody was admitted who should not have been.

Usage: python3 contested.py FOLDER. Uses nothing of clearlane: the lanes' answers, the other process's changes, and the
exported crossing records.
"""

import collections
import json
import sys


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


folder = sys.argv[1]
answers = lines(f"{folder}/answers.jsonl")
changes = lines(f"{folder}/changes.jsonl")
records = {record["seq"]: record for record in lines(f"{folder}/records.jsonl")}
wrong = collections.Counter()

# The answer is what was recorded.
voided = {record["voids"] for record in records.values() if "voids" in record}
answered = {answer["record"] for answer in answers}
for answer in answers:
    record = records.get(answer["record"])
    if record is None:
        wrong["admitted without a record"] += answer["admitted"]
    elif (record["outcome"] == "admit") != answer["admitted"]:
        wrong["answered otherwise than recorded"] += 1
for seq, record in records.items():
    if record["outcome"] == "admit" and seq not in voided and seq not in answered:
        wrong["an admission in the records that nobody was told"] += 1

# Nobody after what was acknowledged: neither by the order of the records nor by the wall clock.
ends = {}
for change in changes:
    if change["what"] in ("revoke", "expire", "withdraw"):
        ends.setdefault(change["subject"], change)
for answer in answers:
    end = ends.get(answer["subject"])
    if answer["admitted"] and end:
        wrong["admitted after the acknowledgement, by the records"] += answer["record"] > end["newest_record"]
        wrong["admitted after the acknowledgement, by the clock"] += answer["began_us"] > end["acknowledged_us"]

# Nobody past the deadline.
for answer in answers:
    if answer["admitted"] and answer["took_us"] > answer["budget_us"] + 1000:
        wrong["admitted past the deadline"] += 1

# Records are numbered without gaps.
wrong["gaps"] += len(records) - (max(records) - min(records) + 1) if records else 0

wrong = +wrong
reasons = collections.Counter(reason for answer in answers for reason in answer["reasons"])
print(f"{len(answers)} passages, {sum(answer['admitted'] for answer in answers)} admitted, {len(voided)} taken back;",
      f"{len(changes)} changes: {dict(collections.Counter(change['what'] for change in changes))}")
print("referred for:", dict(reasons))
print("wrong:", dict(wrong) or "nothing")
sys.exit(1 if wrong else 0)
