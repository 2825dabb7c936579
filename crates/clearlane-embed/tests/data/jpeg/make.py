"""Makes JPEGs of every kind that ITU-T T.81 allows with Huffman codes and 8 bits, and what libjpeg-turbo makes of them.

    pip install numpy==2.* pillow==12.*      # Pillow decodes with libjpeg-turbo
    python make.py                           # writes jpegs.png beside itself
    python make.py FOLDER COUNT              # writes so many files, and their pixels as .ppm, to look at or to try more

The encoder is written for this from the standard and shares nothing with a decoder. The pictures are drawn: an oval with
eyes and a mouth over a gradient. `jpegs.png` holds all files as the bytes of a grey picture, so that they are deflated and
need no other reader: for each file the length of its name, its name, its length (four bytes), its bytes, and the CRC-32 of
the pixels at full size, a half, a quarter and an eighth; 0 where the picture is smaller than that. The end is a length of 0.
"""

import io
import itertools
import pathlib
import random
import struct
import sys
import zlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent

ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
BASIS = np.array([[np.sqrt((1 if u == 0 else 2) / 8) * np.cos((2 * x + 1) * u * np.pi / 16) for x in range(8)] for u in range(8)])


def segment(code, data):
    return bytes([0xFF, code]) + struct.pack(">H", len(data) + 2) + data


def optimal_code(frequencies):
    """Counts of lengths and symbols in order (annex K.2); the code of all ones is kept free."""
    frequencies = dict(frequencies) | {256: 1}
    groups = [(count, -symbol, [symbol]) for symbol, count in frequencies.items()]
    size = dict.fromkeys(frequencies, 0)
    while len(groups) > 1:
        groups.sort(reverse=True)
        one, two = groups.pop(), groups.pop()
        for symbol in one[2] + two[2]:
            size[symbol] += 1
        groups.append((one[0] + two[0], max(one[1], two[1]), one[2] + two[2]))
    bits = [0] * 64
    for length in size.values():
        bits[length] += 1
    for i in range(63, 16, -1):
        while bits[i] > 0:
            j = i - 2
            while bits[j] == 0:
                j -= 1
            bits[i] -= 2
            bits[i - 1] += 1
            bits[j + 1] += 2
            bits[j] -= 1
    longest = max(i for i in range(64) if bits[i])
    bits[longest] -= 1
    symbols = sorted((s for s in size if s != 256), key=lambda s: (size[s], s))
    return bits[1:17], symbols


def codes_of(counts, symbols):
    codes, code, place = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            codes[symbols[place]] = (code, length)
            code, place = code + 1, place + 1
        code <<= 1
    return codes


def magnitude(value):
    size = abs(value).bit_length()
    return size, (value if value >= 0 else value + (1 << size) - 1)


class Scan:
    """The symbols of one scan: (class, table, symbol) and bits, (None, bits, count), by restart intervals."""

    def __init__(self, picture, components, first, last, high, low):
        self.picture, self.components = picture, components
        self.first, self.last, self.high, self.low = first, last, high, low

    def units(self):
        planes = self.picture.planes
        if len(self.components) == 1:
            plane = planes[self.components[0]]
            for y, x in itertools.product(range(plane.own[1]), range(plane.own[0])):
                yield [(self.components[0], plane.blocks[y, x])]
            return
        for y, x in itertools.product(range(self.picture.units[1]), range(self.picture.units[0])):
            yield [
                (c, planes[c].blocks[y * planes[c].v + j, x * planes[c].h + i])
                for c in self.components
                for j in range(planes[c].v)
                for i in range(planes[c].h)
            ]

    def intervals(self):
        out, before, self.run, self.waiting = [], {}, 0, []
        for index, unit in enumerate(self.units()):
            if self.picture.restart and index and index % self.picture.restart == 0:
                self.end_of_run(out)
                yield out
                out, before = [], {}
            for component, block in unit:
                self.block(out, before, component, [int(v) for v in block])
        self.end_of_run(out)
        yield out

    def block(self, out, before, component, block):
        table = min(component, 1)
        if not self.picture.progressive:
            self.dc(out, before, component, block[0])
            zeros = 0
            for value in block[1:]:
                if value == 0:
                    zeros += 1
                    continue
                while zeros > 15:
                    out.append((1, table, 0xF0, 0, 0))
                    zeros -= 16
                size, bits = magnitude(value)
                out.append((1, table, zeros << 4 | size, bits, size))
                zeros = 0
            if zeros:
                out.append((1, table, 0, 0, 0))
        elif self.first == 0:
            if self.high == 0:
                self.dc(out, before, component, block[0] >> self.low)
            else:
                out.append((None, 0, 0, block[0] >> self.low & 1, 1))
        elif self.high == 0:
            self.table = table
            zeros = 0
            for value in block[self.first : self.last + 1]:
                cut = abs(value) >> self.low
                if cut == 0:
                    zeros += 1
                    continue
                self.end_of_run(out)
                while zeros > 15:
                    out.append((1, table, 0xF0, 0, 0))
                    zeros -= 16
                size, bits = magnitude(cut if value > 0 else -cut)
                out.append((1, table, zeros << 4 | size, bits, size))
                zeros = 0
            if zeros:
                self.run += 1
                if self.run == 0x7FFF:
                    self.end_of_run(out)
        else:
            self.table = table
            self.refine(out, table, block)

    def dc(self, out, before, component, value):
        size, bits = magnitude(value - before.get(component, 0))
        before[component] = value
        out.append((0, min(component, 1), size, bits, size))

    def refine(self, out, table, block):
        band = block[self.first : self.last + 1]
        cut = [abs(value) >> self.low for value in band]
        end = max((k for k, value in enumerate(cut) if value == 1), default=-1)
        zeros, corrections = 0, []
        for k, value in enumerate(cut):
            if value == 0:
                zeros += 1
                continue
            while zeros > 15 and k <= end:
                self.end_of_run(out)
                out.append((1, table, 0xF0, 0, 0))
                out += [(None, 0, 0, bit, 1) for bit in corrections]
                zeros, corrections = zeros - 16, []
            if value > 1:
                corrections.append(value & 1)
                continue
            self.end_of_run(out)
            out.append((1, table, zeros << 4 | 1, int(band[k] > 0), 1))
            out += [(None, 0, 0, bit, 1) for bit in corrections]
            zeros, corrections = 0, []
        if zeros or corrections:
            self.run += 1
            self.waiting += corrections
            if self.run == 0x7FFF or len(self.waiting) > 900:
                self.end_of_run(out)

    def end_of_run(self, out):
        if self.run:
            size = self.run.bit_length() - 1
            out.append((1, self.table, size << 4, self.run - (1 << size), size))
            out += [(None, 0, 0, bit, 1) for bit in self.waiting]
            self.run, self.waiting = 0, []

    def encode(self):
        intervals = list(self.intervals())
        counts = {}
        for kind, table, symbol, _, _ in itertools.chain(*intervals):
            if kind is not None:
                counts.setdefault((kind, table), {}).setdefault(symbol, 0)
                counts[kind, table][symbol] += 1
        out, codes = b"", {}
        for (kind, table), frequencies in sorted(counts.items()):
            lengths, symbols = optimal_code(frequencies)
            codes[kind, table] = codes_of(lengths, symbols)
            out += segment(0xC4, bytes([kind << 4 | table, *lengths, *symbols]))
        header = bytes([len(self.components)])
        for component in self.components:
            table = min(component, 1)
            header += bytes([self.picture.planes[component].id, table << 4 | table])
        out += segment(0xDA, header + bytes([self.first, self.last, self.high << 4 | self.low]))
        for number, interval in enumerate(intervals):
            if number:
                out += bytes([0xFF, 0xD0 + (number - 1) % 8])
            bits = []
            for kind, table, symbol, extra, size in interval:
                if kind is not None:
                    code, length = codes[kind, table][symbol]
                    bits.append(format(code, f"0{length}b"))
                if size:
                    bits.append(format(extra, f"0{size}b"))
            bits = "".join(bits)
            bits += "1" * (-len(bits) % 8)
            data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
            out += data.replace(b"\xff", b"\xff\x00")
        return out


class Plane:
    pass


class Picture:
    def __init__(self, rng, size, colour, factors, script, restart, quality):
        self.size, self.restart = size, restart
        self.progressive = script in PROGRESSIVE
        hs, vs = [f[0] for f in factors], [f[1] for f in factors]
        across, down = max(hs), max(vs)
        self.units = [-(-size[0] // (8 * across)), -(-size[1] // (8 * down))]
        ids = b"RGB" if colour == "named-rgb" else bytes(range(1, len(factors) + 1))
        wide = quality == "wide"
        steps = [np.array([max(1, int(1 + s * (1 + i % 8 + i // 8))) for i in range(64)]) for s in ((0.4, 0.7) if wide else (rng.uniform(0.5, 4), rng.uniform(1, 6)))]
        if wide:
            steps[1][63] = 300
        self.planes = []
        for index, (h, v) in enumerate(factors):
            plane = Plane()
            plane.id, plane.h, plane.v = ids[index], h, v
            plane.own = [-(-size[0] * h // (8 * across)), -(-size[1] * v // (8 * down))]
            wide_blocks, high_blocks = self.units[0] * h, self.units[1] * v
            samples = draw(rng, index, 8 * wide_blocks, 8 * high_blocks, size[0] * h / across, size[1] * v / down)
            blocks = samples.reshape(high_blocks, 8, wide_blocks, 8).transpose(0, 2, 1, 3) - 128
            plane.step = min(index, 1)
            coefficients = np.rint((BASIS @ blocks @ BASIS.T).reshape(high_blocks, wide_blocks, 64) / steps[plane.step])
            plane.blocks = coefficients.astype(int)[:, :, ZIGZAG]
            self.planes.append(plane)
        frame = bytes([8]) + struct.pack(">HHB", size[1], size[0], len(factors))
        for plane in self.planes:
            frame += bytes([plane.id, plane.h << 4 | plane.v, plane.step])
        out = b"\xff\xd8"
        if colour in ("grey", "ycc") and rng.random() < 0.8:
            out += segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        if colour in ("rgb", "cmyk", "ycck"):
            out += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([2 if colour == "ycck" else 0]))
        for table in range(2):
            zigzag = [int(steps[table][i]) for i in ZIGZAG]
            if wide:
                out += segment(0xDB, bytes([0x10 | table]) + struct.pack(">64H", *zigzag))
            else:
                out += segment(0xDB, bytes([table, *(min(255, step) for step in zigzag)]))
        code = 0xC2 if self.progressive else 0xC1 if wide else 0xC0
        out += b"\xff" * rng.randrange(2) + segment(code, frame)
        if restart:
            out += segment(0xDD, struct.pack(">H", restart))
        self.scans = [Scan(self, *scan) for scan in scans(script, len(factors))]
        for scan in self.scans:
            out += scan.encode()
        self.bytes = out + b"\xff\xd9"


def draw(rng, index, width, height, real_width, real_height):
    """An oval face over a gradient, in this component."""
    y, x = np.mgrid[0:height, 0:width]
    # What fills the last blocks repeats the edge.
    x, y = np.minimum(x + 0.5, real_width) / real_width, np.minimum(y + 0.5, real_height) / real_height
    slope = rng.uniform(-120, 120), rng.uniform(-120, 120)
    samples = rng.uniform(90, 160) + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
    face = ((x - 0.5) / 0.3) ** 2 + ((y - 0.5) / 0.42) ** 2 < 1
    samples = np.where(face, rng.uniform(40, 220) + 60 * (x - 0.4), samples)
    for eye in (0.37, 0.63):
        samples = np.where((x - eye) ** 2 + (y - 0.42) ** 2 < 0.004, rng.uniform(0, 255), samples)
    samples = np.where((abs(x - 0.5) < 0.13) & (abs(y - 0.72) < 0.03), rng.uniform(0, 255), samples)
    return samples + (rng.uniform(0, 6) * np.sin(40 * x + 9 * index) * np.sin(31 * y))


def scans(script, count):
    every = list(range(count))
    alone = [[c] for c in every]
    bands = lambda c, *band: ([c], *band)
    match script:
        case "interleaved":
            return [(every, 0, 63, 0, 0)]
        case "alone":
            return [(c, 0, 63, 0, 0) for c in alone]
        case "mixed":
            return [([0], 0, 63, 0, 0)] + ([(every[1:], 0, 63, 0, 0)] if count > 1 else [])
        case "backwards":
            return [(c, 0, 63, 0, 0) for c in alone[::-1]]
        case "spectral":
            return [(every, 0, 0, 0, 0)] + [bands(c, a, b, 0, 0) for a, b in ((1, 5), (6, 63)) for c in every]
        case "successive":
            first = [(every, 0, 0, 0, 1)] + [bands(c, 1, 63, 0, 2) for c in every]
            return first + [bands(c, 1, 63, 2, 1) for c in every] + [(every, 0, 0, 1, 0)] + [bands(c, 1, 63, 1, 0) for c in every]
        case "deep":
            first = [(c, 0, 0, 0, 2) for c in alone]
            for low in (1, 0):
                first += [(c, 0, 0, low + 1, low) for c in alone]
            for c in every[::-1]:
                first += [bands(c, 1, 30, 0, 2), bands(c, 31, 63, 0, 1)]
                first += [bands(c, 1, 30, 2, 1), bands(c, 31, 63, 1, 0), bands(c, 1, 30, 1, 0)]
            return first


SEQUENTIAL = ("interleaved", "alone", "mixed", "backwards")
PROGRESSIVE = ("spectral", "successive", "deep")
ONE, TWO = (1, 1), (2, 2)
YCC = {
    "444": (ONE, ONE, ONE),
    "422": ((2, 1), ONE, ONE),
    "420": (TWO, ONE, ONE),
    "440": ((1, 2), ONE, ONE),
    "411": ((4, 1), ONE, ONE),
    "410": ((4, 2), ONE, ONE),
    "441": ((1, 4), ONE, ONE),
    "311": ((3, 1), ONE, ONE),
    "132": ((1, 3), ONE, (1, 3)),
    "luma-smaller": (ONE, TWO, TWO),
    "luma-narrower": (ONE, (2, 1), ONE),
    "chroma-unlike": (TWO, (2, 1), (1, 2)),
    "crossed": ((2, 1), (1, 2), ONE),
    "all-two": (TWO, TWO, (2, 1)),
    "wide-two": ((4, 1), (2, 1), ONE),
}
KINDS = (
    [("grey", "11", (ONE,)), ("grey", "22", (TWO,)), ("grey", "13", ((1, 3),))]
    + [("ycc", name, factors) for name, factors in YCC.items()]
    + [("rgb", name, YCC[name]) for name in ("444", "420", "luma-smaller")]
    + [("named-rgb", "444", YCC["444"])]
    + [("cmyk", "1111", (ONE,) * 4), ("cmyk", "2112", (TWO, ONE, ONE, TWO)), ("cmyk", "1121", (ONE, ONE, (2, 1), ONE))]
    + [("ycck", "1111", (ONE,) * 4), ("ycck", "2112", (TWO, ONE, ONE, TWO)), ("ycck", "2111", ((2, 1), ONE, ONE, (2, 1)))]
)
SIZES = [(1, 1), (2, 1), (1, 3), (3, 2), (5, 4), (7, 9), (8, 8), (9, 8), (16, 16), (17, 15), (33, 31), (65, 33), (40, 1), (1, 40), (31, 49)]


def rgb(data, scale):
    """The pixels that libjpeg-turbo gives, 1/scale as large; nothing where the picture is smaller than that."""
    image = Image.open(io.BytesIO(data))
    if scale > min(image.size):
        return None
    if scale > 1:
        image.draft(None, (image.size[0] // scale, image.size[1] // scale))
    pixels = np.asarray(image).astype(int)
    if image.mode == "CMYK":
        inverted = 255 - pixels
        pixels = (inverted[:, :, :3] * inverted[:, :, 3:] + 127) // 255
    if image.mode == "L":
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels.astype(np.uint8))


def legal(factors, script):
    units = [h * v for h, v in factors]
    together = {"mixed": sum(units[1:]), "alone": 0, "backwards": 0, "deep": 0}.get(script, sum(units))
    return len(factors) == 1 or together <= 10


def files(rounds):
    rng = random.Random(13)
    for number in range(rounds):
        for (colour, sampling, factors), script in itertools.product(KINDS, SEQUENTIAL + PROGRESSIVE):
            if not legal(factors, script) or (len(factors) == 1 and script in ("mixed", "backwards")):
                continue
            size = rng.choice(SIZES)
            restart = rng.choice([0, 0, 1, 2, 5])
            quality = "wide" if rng.random() < 0.1 else "usual"
            picture = Picture(rng, size, colour, factors, script, restart, quality)
            yield f"{colour} {sampling} {script} {size[0]}x{size[1]} restart {restart} {quality} {number}", picture.bytes
    # Motion JPEG of cameras: the codes of annex K.3, left out.
    for size in SIZES:
        out = io.BytesIO()
        x = np.add.outer(np.arange(size[1]) * 5, np.arange(size[0]) * 3)
        Image.fromarray(np.stack([x, 255 - x, x // 2], 2).astype(np.uint8)).save(out, "JPEG", subsampling="4:2:2")
        data = out.getvalue()
        while (at := data.find(b"\xff\xc4")) >= 0:
            data = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
        yield f"ycc 422 without codes {size[0]}x{size[1]}", data


def main():
    if len(sys.argv) > 2:
        folder = pathlib.Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for index, (name, data) in enumerate(itertools.islice(files(10**6), int(sys.argv[2]))):
            (folder / f"{index:05} {name}.jpg").write_bytes(data)
            for scale in (1, 2, 4, 8):
                if (pixels := rgb(data, scale)) is not None:
                    header = f"P6 {pixels.shape[1]} {pixels.shape[0]} 255\n".encode()
                    (folder / f"{index:05} {name}.jpg.{scale}.ppm").write_bytes(header + pixels.tobytes())
        return
    packed, count = b"", 0
    for name, data in files(2):
        packed += bytes([len(name)]) + name.encode() + struct.pack(">I", len(data)) + data
        for scale in (1, 2, 4, 8):
            pixels = rgb(data, scale)
            packed += struct.pack(">I", 0 if pixels is None else zlib.crc32(pixels.tobytes()))
        count += 1
    packed += bytes(1024 - len(packed) % 1024)
    Image.frombytes("L", (1024, len(packed) // 1024), packed).save(HERE / "jpegs.png", optimize=True)
    print(count, "files,", len(packed), "bytes")


if __name__ == "__main__":
    main()
