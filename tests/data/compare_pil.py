#!/usr/bin/env python3
"""How far decoding, resizing and cropping are from Pillow, in levels of 0..255.

  apt-get install python3-pil python3-numpy
  cmake --build build/release --target prepare_images
  /usr/bin/python3 tests/data/compare_pil.py build/release/tests/prepare_images [image or folder ...]

Makes images (photo-like, gradient, noise, checkerboard), stores them in every kind of PNG and JPEG
that Pillow writes, lets prepare_images and Pillow prepare them, and prints the largest and the mean
absolute difference of each group as a Markdown table. Further images, such as a folder of
photographs, can be named. Sizes follow torchvision 0.14.1, transforms/functional.py. Exits 2 if any
group differs.
"""
import itertools
import os
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import PIL
from PIL import Image

FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def photo(rows, cols, seed):
    """Smooth areas, edges and grain: a sum of noise of several scales, with shapes over it."""
    rng = np.random.default_rng(seed)
    image = np.zeros((rows, cols, 3))
    for cells in (2, 4, 8, 16, 32, 64):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        image += np.asarray(small.resize((cols, rows), Image.BICUBIC)) / np.sqrt(cells)
    image = (image - image.min()) / (image.max() - image.min()) * 255
    y, x = np.mgrid[:rows, :cols]
    for _ in range(6):
        center, radius = rng.random(2) * (rows, cols), rng.random() * rows / 4
        inside = (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2
        image[inside] = image[inside] * 0.3 + rng.integers(0, 256, 3) * 0.7
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def synthetic(rows, cols):
    y, x = np.mgrid[:rows, :cols]
    gradient = np.stack([x * 255 / (cols - 1), y * 255 / (rows - 1), (x + y) % 256], -1)
    noise = np.random.default_rng(1).integers(0, 256, (rows, cols, 3))
    checkers = np.repeat(((x + y) % 2 * 255)[..., None], 3, -1)
    blocks = np.repeat(((x // 3 + y // 5) % 2 * 255)[..., None], 3, -1)
    made = {"gradient": gradient, "noise": noise, "checkerboard": checkers, "blocks": blocks}
    return {name: pixels.astype(np.uint8) for name, pixels in made.items()}


def torchvision_resize(image, size, interpolation):
    """Resize of torchvision on Pillow images: int is the shorter side, the other is truncated."""
    if isinstance(size, int):
        short, long = sorted(image.size)
        other = int(size * long / short)
        size = (size, other) if image.width > image.height else (other, size)
    return image.resize((size[1], size[0]), FILTERS[interpolation])


def torchvision_crop(image, size):
    rows, cols = (size, size) if isinstance(size, int) else size
    left, top = max(cols - image.width, 0), max(rows - image.height, 0)
    if left or top:
        padded = Image.new(image.mode, (image.width + left, image.height + top))
        padded.paste(image, (left // 2, top // 2))
        image = padded
    top, left = int(round((image.height - rows) / 2.0)), int(round((image.width - cols) / 2.0))
    return image.crop((left, top, left + cols, top + rows))


def prepared_by_pil(path, channels, resize, crop, interpolation):
    with Image.open(path) as image:
        image = image.convert("L" if channels == 1 else "RGB")
    if resize is not None:
        image = torchvision_resize(image, resize, interpolation)
    if crop is not None:
        image = torchvision_crop(image, crop)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


class Comparison:
    def __init__(self, tool, folder):
        self.tool, self.folder, self.differs = tool, folder, False

    def run(self, title, paths, channels=3, resize=None, crop=None, interpolation="bilinear"):
        text = ["input:", "  scale: 1", f"  interpolation: {interpolation}"]
        text += [f"  resize: {resize}"] * (resize is not None)
        text += [f"  center_crop: {crop}"] * (crop is not None)
        yaml = os.path.join(self.folder, "p.yaml")
        with open(yaml, "w") as file:
            file.write("\n".join(text) + "\n")
        out = tempfile.mkdtemp(dir=self.folder)
        subprocess.run([self.tool, yaml, str(channels), out, *paths], check=True)
        worst, total, count, refused = 0, 0, 0, 0
        for i, path in enumerate(paths):
            if not os.path.exists(f"{out}/{i}.npy"):
                refused += 1
                continue
            ours = np.load(f"{out}/{i}.npy").astype(int)
            theirs = prepared_by_pil(path, channels, resize, crop, interpolation).astype(int)
            if ours.shape != theirs.shape:
                sys.exit(f"{path}: {ours.shape}, Pillow gives {theirs.shape}")
            worst = max(worst, np.abs(ours - theirs).max())
            total, count = total + np.abs(ours - theirs).sum(), count + ours.size
        self.differs |= worst > 0
        mean = total / count if count else float("nan")
        print(f"| {title} | {len(paths) - refused} | {refused} | {worst} | {mean:.4f} |", flush=True)


def write_png(path, samples, color_type, interlaced=False, chunks=b""):
    """Kinds that Pillow does not write; samples are unsigned integers [rows, cols, n]."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows, cols, _ = samples.shape
    big = samples.astype(">u%d" % samples.dtype.itemsize)
    adam7 = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
    lines = b""
    for r, dr, c, dc in adam7 if interlaced else [(0, 1, 0, 1)]:
        lines += b"".join(b"\0" + row.tobytes() for row in big[r::dr, c::dc])
    header = struct.pack(">IIBBBBB", cols, rows, 8 * samples.dtype.itemsize, color_type, 0, 0, int(interlaced))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks)
        file.write(chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def stored(folder):
    """The same picture in every kind of file, by the name of the kind."""
    color = Image.fromarray(photo(61, 83, 5))
    grey, alpha = color.convert("L"), color.copy()
    alpha.putalpha(grey)
    palette = color.quantize(50)
    deep = np.asarray(grey).astype(np.uint16) * 257
    kinds = {"PNG 8-bit grey": [("g.png", grey, {})], "PNG 8-bit RGB": [("c.png", color, {})],
             "PNG RGBA": [("a.png", alpha, {})], "PNG grey and alpha": [("la.png", alpha.convert("LA"), {})],
             "PNG 1-bit grey": [("b.png", grey.convert("1"), {})],
             "PNG palette of 8, 4, 2, 1 bits": [(f"p{n}.png", color.quantize(n), {}) for n in (50, 16, 4, 2)],
             "PNG palette or RGB with transparency":
                 [("pt.png", palette, {"transparency": 3}), ("ct.png", color, {"transparency": (1, 2, 3)}),
                  ("gt.png", grey, {"transparency": 7})],
             "PNG 16-bit grey": [("g16.png", Image.fromarray(deep), {})],
             "JPEG grey": [("g.jpg", grey, {"quality": 80})], "JPEG CMYK": [("k.jpg", color.convert("CMYK"), {"quality": 90})]}
    kinds["JPEG colour: 4:4:4, 4:2:2, 4:2:0; quality 30, 75, 95; baseline, progressive"] = [
        (f"c{q}{s}{p}.jpg", color, {"quality": q, "subsampling": s, "progressive": p})
        for q, s, p in itertools.product((30, 75, 95), (0, 1, 2), (False, True))]
    result = {}
    for kind, files in kinds.items():
        result[kind] = []
        for name, image, options in files:
            image.save(os.path.join(folder, name), **options)
            result[kind].append(os.path.join(folder, name))
    samples = np.random.default_rng(6).integers(0, 65536, (19, 23, 4)).astype(np.uint16)
    gamma = struct.pack(">I", 4) + b"gAMA" + struct.pack(">I", 100000)
    gamma += struct.pack(">I", zlib.crc32(gamma[4:]))
    written = {"PNG 16-bit RGB, RGBA, grey and alpha": [(samples[..., :3], 2), (samples, 6), (samples[..., :2], 4)],
               "PNG interlaced": [((samples >> 8).astype(np.uint8)[..., :3], 2, True), (samples, 6, True)],
               "PNG with a gamma": [((samples >> 8).astype(np.uint8)[..., :3], 2, False, gamma)]}
    for kind, files in written.items():
        result[kind] = []
        for i, arguments in enumerate(files):
            result[kind].append(os.path.join(folder, f"{kind}{i}.png"))
            write_png(result[kind][-1], *arguments)
    return result


def main():
    tool, further = sys.argv[1], sys.argv[2:]
    print(f"Pillow {PIL.__version__}\n")
    print("| what | images | refused | largest | mean |\n|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        compare = Comparison(tool, folder)
        for kind, paths in stored(folder).items():
            for channels in (3, 1):
                compare.run(f"{kind}, as {'RGB' if channels == 3 else 'L'}", paths, channels)
        made = {"photo-like": [photo(375, 500, 2), photo(480, 333, 3), photo(224, 224, 4)]}
        made |= {name: [pixels] for name, pixels in synthetic(259, 370).items()}
        files = {}
        for name, images in made.items():
            files[name] = []
            for i, pixels in enumerate(images):
                files[name].append(f"{folder}/{name}{i}.png")
                Image.fromarray(pixels).save(files[name][-1])
        sizes = {"shrunk 2x": [130, 185], "shrunk 3.7x": [70, 100], "enlarged 1.7x": [440, 629],
                 "one axis": [259, 97], "to 1 pixel": [1, 1]}
        for (name, paths), interpolation in itertools.product(files.items(), FILTERS):
            for how, size in sizes.items():
                compare.run(f"{name}, {interpolation}, {how}", paths, 3, size, None, interpolation)
        every = [path for paths in files.values() for path in paths]
        for interpolation in FILTERS:
            compare.run(f"all, {interpolation}, resize 256, center_crop 224", every, 3, 256, 224, interpolation)
        compare.run("all, center_crop [231, 97]", every, 1, None, [231, 97])
        compare.run("all, center_crop 401 (padded)", every, 3, None, 401)
        photographs = []
        for path in further:
            listed = [path] if os.path.isfile(path) else [
                os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
            photographs += [p for p in listed if p.lower().endswith((".jpg", ".jpeg", ".png"))]
        if photographs:
            compare.run("given images, bilinear, resize 256, center_crop 224", photographs, 3, 256, 224)
    sys.exit(2 if compare.differs else 0)


main()
