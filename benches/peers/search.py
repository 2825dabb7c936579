#!/usr/bin/env python3
"""clearlane's search beside its peers: the same vectors, one machine, one run, one thread, in turn.

    pip install -r benches/peers/requirements.txt
    cargo build --release -p clearlane-benches --example search
    python3 benches/peers/search.py --work DIR --size 1000000 --out benches/peers/results/search.md

Random unit vectors, and for each probe a mate in the gallery at a stated score. Every index answers every probe singly;
rounds go over all of them in turn, so that a slow spell of the machine does not fall on one alone, and the median over all
rounds counts. Indexes are kept in DIR and loaded by the next run, since some take long to build. The table is printed and,
with --out, stored: as it is printed, or as JSON where the file is named so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import faiss
import hnswlib
import numpy as np
from usearch.index import Index as UsearchIndex
from usearch.index import search as usearch_exact

ROOT = Path(__file__).resolve().parents[2]


def normalised(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_vectors(work, size, dimension, probes, mate_score):
    """The gallery's and the probes' files, made once: row after row of little-endian 32-bit floats."""
    name = f"{size}x{dimension}"
    gallery, queries = work / f"{name}.f32", work / f"{name}-{probes}-{mate_score}.f32"
    if not queries.exists():
        random = np.random.default_rng(1)
        mates = (np.arange(probes) * size + size // 2) // probes
        with open(gallery, "wb") as file:
            for first in range(0, size, 65536):
                rows = random.standard_normal((min(65536, size - first), dimension), dtype=np.float32)
                normalised(rows).astype("<f4").tofile(file)
        base = np.memmap(gallery, "<f4", "r", shape=(size, dimension))
        mated = np.array(base[mates])
        noise = random.standard_normal(mated.shape, dtype=np.float32)
        noise = normalised(noise - mated * np.sum(noise * mated, axis=1, keepdims=True))
        normalised(mate_score * mated + (1 - mate_score**2) ** 0.5 * noise).astype("<f4").tofile(queries)
    base = np.memmap(gallery, "<f4", "r", shape=(size, dimension))
    return gallery, queries, base, np.fromfile(queries, "<f4").reshape(probes, dimension)


class Peer:
    """One index: how it is built, kept and asked."""

    def __init__(self, name, promise, index=None):
        """`index`: the name of a peer whose index this one searches too."""
        self.name, self.promise, self.index_name = name, promise, index or name

    def prepare(self, work, base, tag):
        path, facts = work / f"{tag}-{self.slug()}.index", work / f"{tag}-{self.slug()}.json"
        if not facts.exists():
            start = time.perf_counter()
            self.build(base)
            built = time.perf_counter() - start
            self.save(path)
            facts.write_text(json.dumps({"build_s": built, "bytes_a_face": path.stat().st_size / len(base)}))
        else:
            self.load(path, base.shape[1])
        self.facts = json.loads(facts.read_text())

    def slug(self):
        return "".join(c if c.isalnum() else "-" for c in self.index_name.lower())


class Faiss(Peer):
    def __init__(self, name, promise, factory, index=None, rerank=None):
        """`rerank`: the rows to score again, and how many of them."""
        super().__init__(name, promise, index)
        self.factory, self.rerank = factory, rerank

    def prepare(self, work, base, tag):
        super().prepare(work, base, tag)
        if self.rerank:
            self.facts["bytes_a_face"] += base.shape[1] * base.itemsize

    def build(self, base):
        self.index = self.factory(base.shape[1])
        if not self.index.is_trained:
            self.index.train(np.ascontiguousarray(base[:20000]))
        for first in range(0, len(base), 65536):
            self.index.add(np.ascontiguousarray(base[first : first + 65536]))

    def save(self, path):
        faiss.write_index(self.index, str(path))

    def load(self, path, _dimension):
        self.index = faiss.read_index(str(path))

    def ask(self, probe, k):
        if self.rerank is None:
            return self.index.search(probe[None], k)[1][0]
        ids = self.index.search(probe[None], self.rerank[1])[1][0]
        ids = ids[ids >= 0]
        return ids[np.argsort(-(self.rerank[0][ids] @ probe), kind="stable")[:k]]

    def add_one(self, row):
        self.index.add(row[None])


class FaissBinary(Faiss):
    def bits(self, rows):
        return np.packbits(rows > 0, axis=1)

    def build(self, base):
        self.index = faiss.IndexBinaryFlat(base.shape[1])
        for first in range(0, len(base), 65536):
            self.index.add(self.bits(np.asarray(base[first : first + 65536])))

    def save(self, path):
        faiss.write_index_binary(self.index, str(path))

    def load(self, path, _dimension):
        self.index = faiss.read_index_binary(str(path))

    def ask(self, probe, k):
        return self.index.search(self.bits(probe[None]), k)[1][0]

    def add_one(self, row):
        self.index.add(self.bits(row[None]))


class UsearchExact(Peer):
    def prepare(self, _work, base, _tag):
        start = time.perf_counter()
        self.rows = np.array(base)
        self.facts = {"build_s": time.perf_counter() - start, "bytes_a_face": base.shape[1] * 4.0}

    def ask(self, probe, k):
        return usearch_exact(self.rows, probe, k, "ip", exact=True, threads=1).keys

    # It searches the caller's matrix: there is nothing to add to.
    add_one = None


class UsearchHnsw(Peer):
    def make(self, dimension):
        self.index = UsearchIndex(
            ndim=dimension, metric="ip", dtype="f32", connectivity=16, expansion_add=40, expansion_search=200
        )

    def build(self, base):
        self.make(base.shape[1])
        self.index.add(np.arange(len(base)), np.asarray(base), threads=os.cpu_count())

    def save(self, path):
        self.index.save(str(path))

    def load(self, path, dimension):
        self.make(dimension)
        self.index.load(str(path))

    def ask(self, probe, k):
        return self.index.search(probe, k, threads=1).keys

    def add_one(self, row):
        self.index.add(len(self.index), row)


class Hnswlib(Peer):
    def build(self, base):
        self.index = hnswlib.Index("ip", base.shape[1])
        self.index.init_index(len(base) + 10000, M=16, ef_construction=40)
        self.index.add_items(np.asarray(base), num_threads=os.cpu_count())

    def save(self, path):
        self.index.save_index(str(path))

    def load(self, path, dimension):
        self.index = hnswlib.Index("ip", dimension)
        self.index.load_index(str(path))

    def ask(self, probe, k):
        self.index.set_ef(200)
        self.index.set_num_threads(1)
        return self.index.knn_query(probe, k)[0][0]

    def add_one(self, row):
        self.index.add_items(row, self.index.get_current_count())


def rabitq(bits):
    def make(dimension):
        code = faiss.IndexRaBitQ(dimension, faiss.METRIC_INNER_PRODUCT, bits)
        return faiss.IndexPreTransform(faiss.RandomRotationMatrix(dimension, dimension), code)

    return make


def peers(base):
    sq8 = lambda d: faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    none = "none"
    return [
        Faiss("FAISS IndexFlatIP", "exact", faiss.IndexFlatIP),
        Faiss("FAISS SQ8", none, sq8),
        Faiss("FAISS RaBitQ 1 bit", none, rabitq(1)),
        Faiss("FAISS RaBitQ 1 bit, 200 re-ranked", none, rabitq(1), "FAISS RaBitQ 1 bit", (base, 200)),
        Faiss("FAISS RaBitQ 4 bits", none, rabitq(4)),
        Faiss("FAISS RaBitQ 4 bits, 200 re-ranked", none, rabitq(4), "FAISS RaBitQ 4 bits", (base, 200)),
        FaissBinary("FAISS IndexBinaryFlat", none, None),
        UsearchExact("usearch exact", "exact"),
        UsearchHnsw("usearch HNSW", none),
        Hnswlib("hnswlib HNSW", none),
    ]


def clearlane(args, gallery, queries):
    """One round of clearlane: a row for each mode."""
    command = [args.clearlane, "--vectors", gallery, "--probe-vectors", queries, "--sizes", args.size,
               "--dimension", args.dimension, "--probes", args.probes, "-k", args.k, "--threshold", args.threshold]
    out = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(out.stdout)


def measure(peer, queries, mates, k):
    times, hits = [], 0
    for probe, mate in zip(queries, mates):
        start = time.perf_counter()
        found = peer.ask(probe, k)
        times.append(time.perf_counter() - start)
        hits += int(found[0] == mate)
    return times, hits


def add_us(peer, rows):
    """Microseconds that adding one row took, mean; `None` where nothing can be added."""
    if peer.add_one is None:
        return None
    start = time.perf_counter()
    for row in rows:
        peer.add_one(row)
    return (time.perf_counter() - start) / len(rows) * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where vectors and indexes are kept")
    parser.add_argument("--out", type=Path, help="where the table is stored")
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--probes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--mate-score", type=float, default=0.6)
    parser.add_argument("--threshold", type=float, default=0.35)
    parser.add_argument("--only", nargs="*", help="peers whose name contains one of these")
    parser.add_argument("--clearlane", type=Path, default=ROOT / "target/release/examples/search")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    faiss.omp_set_num_threads(os.cpu_count())
    gallery, query_file, base, queries = make_vectors(
        args.work, args.size, args.dimension, args.probes, args.mate_score
    )
    mates = (np.arange(args.probes) * args.size + args.size // 2) // args.probes
    wanted = [p for p in peers(base) if not args.only or any(part.lower() in p.name.lower() for part in args.only)]
    for peer in wanted:
        peer.prepare(args.work, base, f"{args.size}x{args.dimension}")
    faiss.omp_set_num_threads(1)
    times, hits, ours = {p.name: [] for p in wanted}, {p.name: 0 for p in wanted}, []
    for _ in range(args.rounds):
        ours.append(clearlane(args, gallery, query_file))
        for peer in wanted:
            spent, found = measure(peer, queries, mates, args.k)
            times[peer.name] += spent
            hits[peer.name] += found
    rows = []
    for mode in range(len(ours[0]["rows"])):
        each = [report["rows"][mode] for report in ours]
        promise = {"sketch": "each missed with p < 1e-9"}.get(each[0]["mode"], "exact")
        rows.append({
            "name": f"clearlane {each[0]['mode']}", "promise": promise,
            "p50_ms": statistics.median(row["p50"] for row in each), "recall_at_1": min(row["recall"] for row in each),
            "bytes_a_face": each[0]["bytes_a_template"], "build_s": min(row["build_seconds"] for row in each),
            "add_us": min(row["add_us"] for row in each),
        })
    for peer in wanted:
        rows.append({
            "name": peer.name, "promise": peer.promise, "p50_ms": statistics.median(times[peer.name]) * 1e3,
            "recall_at_1": hits[peer.name] / len(times[peer.name]), **peer.facts, "add_us": add_us(peer, queries[:100]),
        })
    rows.sort(key=lambda row: row["p50_ms"])
    settings = (
        f"{args.size:,} x {args.dimension}, k = {args.k}, mates at {args.mate_score}, threshold {args.threshold}, one "
        f"thread, one probe at a time, the median of {args.probes} probes x {args.rounds} rounds; {processor()}, "
        f"{ours[0]['kernel']}, one core reads {max(report['bandwidth'] for report in ours):.1f} GB/s; "
        f"FAISS {faiss.__version__}, usearch {version('usearch')}, hnswlib {version('hnswlib')}"
    )
    text = table(settings, rows)
    print(text, end="")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        as_json = args.out.suffix == ".json"
        args.out.write_text(json.dumps({"settings": settings, "rows": rows}, indent=1) if as_json else text)


def processor():
    """The processor's name, where the system tells it."""
    try:
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return names[0].split(":")[1].strip()
    except (OSError, IndexError):
        return platform.machine()


def table(settings, rows):
    """Rows as Markdown. The ratio is to FAISS IndexFlatIP, where it was measured."""
    flat = next((row["p50_ms"] for row in rows if row["name"] == "FAISS IndexFlatIP"), None)
    lines = ["# Search beside its peers", "", settings + ".", ""]
    lines += ["| | p50 ms | IndexFlatIP's time / its own | recall@1 | promise | bytes a face | build s | add one, us |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if flat is None else f"{flat / row['p50_ms']:.1f}"
        add = "" if row["add_us"] is None else f"{row['add_us']:.1f}"
        lines.append(
            f"| {row['name']} | {row['p50_ms']:.2f} | {ratio} | {row['recall_at_1']:.3f} | {row['promise']} "
            f"| {row['bytes_a_face']:.0f} | {row['build_s']:.1f} | {add} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
