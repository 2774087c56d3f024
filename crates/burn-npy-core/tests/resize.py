"""What Pillow makes of a few images of another size.

Prints `resize.txt`: for each case, `dtype [channels, height, width] to height x width filter:
element element ...`, with the channels first.
"""

import numpy as np
from PIL import Image

FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def row(dtype, *shape):
    """An image of noise; integers are in the middle quarter of their range, so that no filter
    overshoots it."""
    image = np.arange(np.prod(shape), dtype=np.uint32) * 2654435761
    if dtype == "float32":
        return ((image >> 8) / 2**24 - 0.5).astype(np.float32).reshape(shape)
    bits = 8 * np.dtype(dtype).itemsize
    return ((image >> 34 - bits) + 3 * 2 ** (bits - 3)).astype(dtype).reshape(shape)


for dtype in ["uint8", "uint16", "float32"]:
    for channels, height, width in [(1, 7, 9), (3, 12, 3), (4, 6, 5)]:
        for new_height, new_width in [(3, 2), (4, 5), (9, 1)]:
            for name, method in FILTERS.items():
                image = row(dtype, channels, height, width)
                # Pillow takes a second or fourth channel for opacity if they are resized together.
                new = [
                    np.asarray(Image.fromarray(plane).resize((new_width, new_height), method))
                    for plane in image
                ]
                values = " ".join(format(x, ".9g") for x in np.stack(new).ravel().tolist())
                shape = f"{channels} {height} {width}"
                print(f"{dtype} {shape} to {new_height} {new_width} {name}: {values}")
