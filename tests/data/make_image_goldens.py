#!/usr/bin/env python3
"""Prints the golden arrays of tests/models/image_test.cpp, as Pillow computes them.

  apt-get install python3-pil python3-numpy; /usr/bin/python3 tests/data/make_image_goldens.py
"""
import numpy as np
from PIL import Image

y, x = np.mgrid[:5, :7]
image = Image.fromarray(((y * 37 + x * 61 + 11) % 256).astype(np.uint8))
for name, method in (("Nearest", Image.NEAREST), ("Bilinear", Image.BILINEAR), ("Bicubic", Image.BICUBIC)):
    for rows, cols in ((2, 3), (8, 4), (5, 9)):
        pixels = np.asarray(image.resize((cols, rows), method)).ravel().tolist()
        print(f'    {{"{name}{rows}x{cols}", Interpolation::k{name}, {rows}, {cols}, {{{str(pixels)[1:-1]}}}}},')
