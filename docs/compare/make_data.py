"""The small files that the programs of the comparison read.

    make_data.py FOLDER

The values tell which row they are, so that each program can check its batches:

- `{train,valid}_images.npy`: n x 28 x 28 u8, all pixels of row i are i % 250;
  `{train,valid}_labels.npy`: u8, i % 10. `mnist.npz` has the same as x_train, y_train, x_test and
  y_test.
- `cifar_{train,valid}_images.npy`: n x 32 x 32 x 3 u8, channel c of row i is i % 80 * 3 + c, and
  the leftmost column of pixels is 255; `cifar_{train,valid}_labels.npy`: n x 1 u8, i % 10.
- `table.npy`: 1000 x 10 f64, row i is i, i + 0.1, ..., i + 0.8 and the label i % 3.
- `series.npy`: 1000 x 4 f32, column c at time t is t + c / 10.
- `tokens.npy`: 10001 u16, token t is t.
- `texts_tokens.npy`: i64, the tokens of 200 texts behind each other; `texts_lengths.npy`: i64,
  their lengths. All tokens of text i are i + 1, so no token is 0.
- `shards/{images,labels}-{000..099}.npy`: 20 rows a shard, images as above, and i as i64.
- `rare_features.npy`: 1000 x 8 f32, row i is i; `rare_labels.npy`: i64, 1 in each twentieth row.
- `folds_features.npy`: 300 x 4 f32, three groups that a linear model can tell apart;
  `folds_labels.npy`: i64, i % 3.
"""

import sys
from pathlib import Path

import numpy as np


def images(rows):
    return np.broadcast_to((rows % 250)[:, None, None], (len(rows), 28, 28)).astype(np.uint8)


def cifar(rows):
    pixels = (rows % 80 * 3)[:, None, None, None] + np.arange(3)
    pixels = np.broadcast_to(pixels, (len(rows), 32, 32, 3)).astype(np.uint8)
    pixels[:, :, 0] = 255
    return pixels


def main(folder):
    (folder / "shards").mkdir(parents=True, exist_ok=True)

    def save(name, array):
        np.save(folder / f"{name}.npy", array)

    parts = {}
    for part, count in (("train", 600), ("valid", 100)):
        rows = np.arange(count)
        parts[part] = images(rows), (rows % 10).astype(np.uint8)
        save(f"{part}_images", parts[part][0])
        save(f"{part}_labels", parts[part][1])
        save(f"cifar_{part}_images", cifar(rows))
        save(f"cifar_{part}_labels", parts[part][1][:, None])
    (x_train, y_train), (x_test, y_test) = parts["train"], parts["valid"]
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(folder / "mnist.npz", **arrays)

    rows = np.arange(1000)
    save("table", np.column_stack([rows[:, None] + np.arange(9) / 10, rows % 3]))
    save("series", (rows[:, None] + np.arange(4) / 10).astype(np.float32))
    save("tokens", np.arange(10_001, dtype=np.uint16))
    save("rare_features", np.repeat(rows[:, None], 8, axis=1).astype(np.float32))
    save("rare_labels", (rows % 20 == 0).astype(np.int64))

    random = np.random.default_rng(42)
    lengths = random.integers(1, 41, 200)
    save("texts_lengths", lengths)
    save("texts_tokens", np.repeat(np.arange(1, 201), lengths))
    for shard in range(100):
        rows = np.arange(shard * 20, shard * 20 + 20)
        save(f"shards/images-{shard:03}", images(rows))
        save(f"shards/labels-{shard:03}", rows)
    labels = np.arange(300) % 3
    centres = np.eye(3, 4) * 4
    save("folds_features", (centres[labels] + random.normal(size=(300, 4))).astype(np.float32))
    save("folds_labels", labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
