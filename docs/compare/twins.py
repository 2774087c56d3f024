"""Each verb of burn-npy's datasets beside its twin in tf.data, Grain, PyTorch or scikit-learn.

    twins.py FOLDER [VERB...]

Makes small files in FOLDER, runs `twins.rs` on them, does the same with the twin of each verb, and
compares what comes out. A line is a verb, how it was compared, and its twin:

- in order: the same rows, one by one. Numbers are equal, or near where it says so.
- as sets: the same rows, in another order, which is random in both.
- by rule: both are random, so what both promise is checked of both, or of ours.

The exit code is 1 if something differs. `requirements.txt` has the versions with which it ran.
"""

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
logging.getLogger("absl").setLevel(logging.ERROR)

import grain
import keras
import numpy as np
import sklearn.model_selection as splits
import tensorflow as tf
import torch
import torchvision
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from torchvision.transforms import v2

ROOT = Path(__file__).resolve().parents[2]
Dataset = tf.data.Dataset
# (verb, its twin, how they are compared, a function that returns the difference or None)
VERBS = []


def make_files(folder):
    """Random numbers, so that no two rows are equal, in the files that both sides read."""
    random = np.random.default_rng(42)
    save = {
        "x": random.permutation(1000)[:46].reshape(23, 2),
        "y": random.integers(0, 9, 23),
        "episodes": np.repeat([5, 3, 4], [9, 3, 11]),
        "images": random.permutation(180)[: 3 * 60].reshape(3, 3, 4, 5).astype(np.uint8),
        "lengths": random.integers(0, 41, 500),
        "features": random.normal(3, 2, (200, 3)),
        "labels": random.choice(5, 200, p=[0.5, 0.25, 0.15, 0.07, 0.03]),
        "groups": random.choice(31, 200),
        "mixed_images": random.random((8, 1, 5, 6), np.float32),
        "mixed_labels": np.arange(8),
    }
    save["lengths"][::8] += 1  # No batch of eight is empty.
    save["offsets"] = np.cumsum([0, *save["lengths"]])
    save["tokens"] = random.integers(0, 1000, save["offsets"][-1])
    for shard, rows in enumerate(np.split(np.arange(23), [4, 5, 14])):
        save[f"shards/x_{shard:02}"] = save["x"][rows]
        save[f"shards/y_{shard:02}"] = save["y"][rows]
    for row, label in enumerate(["ant", "bee", "cat", "bee", "ant", "ant"]):
        save[f"classes/{label}/{row}"] = save["x"][row]
    for name, array in save.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", array)
    np.savez(folder / "both.npz", x=save["x"], y=save["y"])


def difference(ours, theirs, tolerance=0.0, place=""):
    """The first place where nested lists, dictionaries and numbers differ, or None."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            return f"{place} has {sorted(ours)}, the twin {sorted(theirs)}"
        pairs = ((f".{key}", ours[key], theirs[key]) for key in ours)
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{place} has {len(ours)} items, the twin {len(theirs)}"
        pairs = ((f"[{i}]", *pair) for i, pair in enumerate(zip(ours, theirs)))
    elif isinstance(ours, str) or isinstance(theirs, str):
        return None if ours == theirs else f"{place} is {ours!r}, the twin {theirs!r}"
    elif isinstance(ours, (dict, list)) or isinstance(theirs, (dict, list)):
        return f"{place} is {type(ours).__name__}, the twin {type(theirs).__name__}"
    else:
        # Not the other way round, so that NaN differs.
        same = abs(ours - theirs) <= tolerance * max(1, abs(theirs))
        return None if same else f"{place} is {ours}, the twin {theirs}"
    found = (difference(a, b, tolerance, place + at) for at, a, b in pairs)
    return next((text for text in found if text), None)


def plain(made):
    """Tensors and arrays as nested lists."""
    if isinstance(made, dict):
        return {key: plain(value) for key, value in made.items()}
    if isinstance(made, (list, tuple)):
        return [plain(value) for value in made]
    return made.tolist() if hasattr(made, "tolist") else made


def twin(verb, of, near=0.0):
    """A function that makes what the verb should make."""

    def add(make):
        def compare(ours):
            return difference(ours, plain(make()), near)

        how = f"in order, near {near}" if near else "in order"
        VERBS.append((verb, of, how, compare))
        return make

    return add


def rule(verb, of, how="by rule"):
    """A function that gets what the verb made and returns what is wrong with it, or None."""

    def add(compare):
        VERBS.append((verb, of, how, compare))
        return compare

    return add


def load(name):
    return np.load(f"{name}.npy")


def table():
    return Dataset.from_tensor_slices({"x": load("x"), "y": load("y")})


def rows(dataset):
    """All elements of a dataset of dictionaries, as a list for each key."""
    elements = [plain(element) for element in dataset.as_numpy_iterator()]
    return {key: [element[key] for element in elements] for key in dataset.element_spec}


def batches(dataset):
    return [plain(batch) for batch in dataset.as_numpy_iterator()]


def unequal(what, ours, expected):
    return None if ours == expected else f"{what}: {ours} instead of {expected}"


def first(*found):
    """The first difference."""
    return next((text for text in found if text), None)


# Sources


@twin("from_files", "tf.data from_tensor_slices")
@twin("from_tensor_slices", "tf.data from_tensor_slices")
def from_tensor_slices():
    return rows(table())


@twin("from_npz", "np.load, tf.data from_tensor_slices")
def from_npz():
    with np.load("both.npz") as npz:
        return rows(Dataset.from_tensor_slices(dict(npz)))


def shards(column):
    files = Dataset.list_files(f"shards/{column}_*.npy", shuffle=False)

    def rows_of(path):
        return Dataset.from_tensor_slices(
            tf.numpy_function(lambda path: np.load(path.decode()), [path], tf.int64)
        )

    return files.flat_map(rows_of)


@twin("from_glob", "tf.data list_files, flat_map")
def from_glob():
    return {"data": batches(shards("x"))}


@twin("from_globs", "tf.data list_files, flat_map, zip")
def from_globs():
    return rows(Dataset.zip({"x": shards("x"), "y": shards("y")}))


def class_folders():
    return torchvision.datasets.DatasetFolder("classes", np.load, extensions=(".npy",))


@twin("from_samples", "torchvision DatasetFolder")
def from_samples():
    return {"data": [sample for sample, _ in class_folders()]}


@twin("from_class_folders", "torchvision DatasetFolder")
def from_class_folders():
    folder = class_folders()
    samples, labels = zip(*folder)
    return {"rows": {"data": samples, "label": labels}, "classes": folder.classes}


# Rows


@twin("take", "tf.data take")
def take():
    return [rows(table().take(count)) for count in (0, 7, 23, 100)]


@twin("skip", "tf.data skip")
def skip():
    return [rows(table().skip(count)) for count in (0, 7, 23, 100)]


@twin("step", "tf.data shard")
def step():
    return [rows(table().shard(3, index)) for index in range(3)]


@twin("step, one of five", "Grain MapDataset[2::5]")
def step_one_of_five():
    x, y = (list(grain.MapDataset.source(load(name))[2::5]) for name in "xy")
    return {"x": x, "y": y}


@twin("repeat", "tf.data repeat")
def repeat():
    return [rows(table().repeat(count)) for count in (3, 0)]


@twin("rows", "tf.data map, gather")
def some_rows():
    x, y = load("x"), load("y")
    numbers = Dataset.from_tensor_slices([22, 0, 5, 5, 1])
    return rows(numbers.map(lambda row: {"x": tf.gather(x, row), "y": tf.gather(y, row)}))


def odd():
    return table().filter(lambda row: row["y"] % 3 != 0)


@twin("filter", "tf.data filter")
def filter_rows():
    return rows(odd())


@twin("sort_by", "NumPy argsort, stable")
def sort_by():
    order = np.argsort(load("y"), kind="stable")
    return {"x": load("x")[order], "y": load("y")[order]}


@twin("filter, skip, step, repeat, take", "tf.data filter, skip, shard, repeat, take")
def chain():
    return rows(odd().skip(2).shard(2, 0).repeat(2).take(9))


# Columns


@twin("map", "tf.data map")
def map_rows():
    return rows(table().map(lambda row: {**row, "x": 2 * row["x"] + 1}))


@twin("map, another shape", "tf.data map")
def map_to_another_shape():
    def with_sum(row):
        return {**row, "x": tf.concat([row["x"], [tf.reduce_sum(row["x"])]], 0)}

    return rows(table().map(with_sum))


@twin("convert", "tf.data map, cast")
def convert():
    return rows(table().map(lambda row: {**row, "x": tf.cast(row["x"], tf.float32) / 255}))


@twin("concat", "tf.data concatenate")
def concat():
    return rows(table().concatenate(table().skip(5).shard(2, 0)))


@twin("zip", "tf.data zip")
def zip_columns():
    x, y = (Dataset.from_tensor_slices(load(name)) for name in "xy")
    return rows(Dataset.zip({"x": x.skip(3), "y": y.take(20)}))


@twin("select, rename", "tf.data map")
def select_and_rename():
    return rows(table().map(lambda row: {"label": row["y"]}))


@twin("split_column", "tf.data map, slices")
def split_column():
    return rows(table().map(lambda row: {"a": row["x"][1:2], "b": row["x"][0], "y": row["y"]}))


@twin("join", "tf.data map, stack")
def join():
    return rows(table().map(lambda row: {"x": tf.stack([row["x"][1], row["x"][0], row["y"]])}))


def map_images(function):
    images = Dataset.from_tensor_slices({"images": load("images")})
    return rows(images.map(lambda row: {"images": function(row["images"])}))


@twin("reshape", "tf.data map, reshape")
def reshape():
    return map_images(lambda image: tf.reshape(image, [6, 10]))


@twin("permute", "tf.data map, transpose")
def permute():
    return map_images(lambda image: tf.transpose(image, [1, 2, 0]))


# Batches and epochs


@twin("batch", "tf.data batch")
def batch():
    return batches(table().batch(4))


@twin("batch, drop_last", "tf.data batch, drop_remainder")
def batch_drop_last():
    return batches(table().batch(4, drop_remainder=True))


@twin("shard", "tf.data batch, shard")
def shard():
    return [batches(table().batch(4).shard(3, index)) for index in range(3)]


@twin("epoch_len", "tf.data repeat, skip, take")
def epoch_len():
    return [batches(table().repeat().skip(10 * epoch).take(10).batch(4)) for epoch in range(5)]


@twin("state, resume", "Grain get_state, set_state")
def resume():
    x, y = load("x"), load("y")

    def iterator():
        elements = grain.MapDataset.range(len(x)).map(lambda row: {"x": x[row], "y": y[row]})
        return iter(elements.batch(4).to_iter_dataset())

    taken = iterator()
    next(taken), next(taken)
    resumed = iterator()
    resumed.set_state(taken.get_state())
    return list(resumed)


def each_row_once(epochs):
    """What is wrong with epochs of batches of one row, which are lists of (x, y)."""
    file = list(zip(load("x").tolist(), load("y").tolist()))
    for number, epoch in enumerate(epochs):
        if sorted(epoch) != sorted(file):
            return f"epoch {number} does not have each row once"
        if epoch == file:
            return f"epoch {number} has the order of the file"
    if any(epochs[i] == epochs[j] for i in range(len(epochs)) for j in range(i)):
        return "two epochs have the same order"


def pairs_of(batches_of_one):
    return [(batch["x"][0], batch["y"][0]) for batch in batches_of_one]


@rule("shuffle, epochs", "tf.data shuffle, repeat", "as sets, another order in each epoch")
def shuffle(ours):
    dataset = table().shuffle(23, seed=1).batch(1).repeat(3)
    theirs = pairs_of(batches(dataset))
    theirs = [theirs[at : at + 23] for at in (0, 23, 46)]
    ours = [pairs_of(epoch) for epoch in ours]
    return first(each_row_once(ours), each_row_once(theirs), unequal("epochs", len(ours), 3))


@rule("blocks", "tf.data shuffle of blocks, interleave", "as sets, another order")
def blocks(ours):
    numbers = Dataset.range(23).batch(4).shuffle(6, seed=1).unbatch().shuffle(8, seed=1)
    x, y = load("x").tolist(), load("y").tolist()
    theirs = [(x[row], y[row]) for row in numbers.as_numpy_iterator()]
    return first(each_row_once([pairs_of(ours)]), each_row_once([theirs]))


# Windows


def tf_windows(dataset, length, shift=1, stride=1):
    """Windows of tf.data, whose `shift` is our stride, and whose `stride` is our dilation."""

    def batch(window):
        return Dataset.zip({key: part.batch(length) for key, part in window.items()})

    return dataset.window(length, shift, stride, drop_remainder=True).flat_map(batch)


def with_next(dataset, length, horizon_at):
    """Windows divided into their first steps and those from a step on."""

    def divide(row):
        divided = {}
        for name, steps in row.items():
            divided[name] = steps[:length]
            divided[f"{name}_next"] = steps[horizon_at:]
        return divided

    return dataset.map(divide)


@twin("windows", "NumPy sliding_window_view")
def windows():
    x = np.moveaxis(sliding_window_view(load("x"), 4, axis=0), 2, 1)
    return {"x": x, "y": sliding_window_view(load("y"), 4)}


@twin("windows, stride, dilation", "tf.data window")
def windows_with_stride_and_dilation():
    return rows(tf_windows(table(), 4, shift=3, stride=2))


@twin("windows beside Keras", "Keras timeseries_dataset_from_array")
def windows_of_keras():
    def windows_of(name):
        options = {"sequence_length": 4, "sequence_stride": 3, "sampling_rate": 2}
        make = keras.utils.timeseries_dataset_from_array
        return batches(make(load(name), None, **options, batch_size=None))

    return {name: windows_of(name) for name in "xy"}


@twin("windows, shifted", "tf.data window")
def shifted_windows():
    whole = tf_windows(table(), 5, shift=4)
    return rows(
        whole.map(
            lambda row: {
                "x": row["x"][:-1],
                "x_next": row["x"][1:],
                "y": row["y"][:-1],
                "y_next": row["y"][1:],
            }
        )
    )


@twin("windows, horizon", "tf.data window")
def horizon():
    return rows(with_next(tf_windows(table(), 7), 5, 5))


@twin("windows, horizon, gap, dilation", "tf.data window")
def horizon_after_a_gap():
    return rows(with_next(tf_windows(table(), 9, stride=2), 4, 7))


def episodes(dataset):
    """Windows within each of three parts."""
    parts = [dataset.take(9), dataset.skip(9).take(3), dataset.skip(12)]
    parts = [tf_windows(part, 4, shift=2) for part in parts]
    return rows(parts[0].concatenate(parts[1]).concatenate(parts[2]))


@twin("windows, within", "tf.data window of each part, concatenate")
def windows_within():
    return episodes(table())


@twin("windows, group_by", "tf.data window of each part, concatenate")
def windows_by_group():
    return episodes(Dataset.from_tensor_slices({"x": load("x")}))


@rule("split_in_time", "scikit-learn TimeSeriesSplit, gap", "in order")
def split_in_time(ours):
    # Windows of 7 rows out of 92: two that are 7 apart share no row.
    train, valid = ours["begins"]
    *_, theirs = splits.TimeSeriesSplit(2, test_size=len(valid), gap=6).split(np.arange(86))
    return first(
        difference(ours["begins"], plain(theirs)),
        unequal("training part", len(train), round(0.6 * 86)),
        unequal("lengths", ours["lens"], [len(train), len(valid)]),
    )


# Several datasets


def mix(verb, lens, weights):
    @rule(verb, "Grain MapDataset.mix", "by rule, shares in each prefix")
    def compare(ours):
        # As the documentation says: a row for each doubling of the number of datasets, and one.
        bound = 1 + np.ceil(np.log2(len(lens)))

        def wrong(who, found):
            counts = [0] * len(lens)
            for place, row in enumerate(found, 1):
                part, row = divmod(row, 1000)
                if row != counts[part]:
                    return f"{who}: place {place} has row {row} of {part}, not {counts[part]}"
                counts[part] += 1
                shares = [place * weight / sum(weights) for weight in weights]
                off = max(abs(share - count) for share, count in zip(shares, counts))
                if off > bound:
                    return f"{who}: {counts} after {place} rows"

        parts = [grain.MapDataset.range(1000 * i, 1000 * i + n) for i, n in enumerate(lens)]
        theirs = list(grain.MapDataset.mix(parts, weights))
        # Each ends where a dataset is used up, which depends on where its rows stand.
        few = len(ours) - len(theirs)
        return first(
            wrong("ours", [int(row) for row in ours]),
            wrong("Grain", theirs),
            f"{len(ours)} rows, Grain {len(theirs)}" if abs(few) > max(1, sum(weights)) else None,
        )


mix("mix", [40, 11], [3, 1])
mix("mix of three", [100, 60, 50], [0.5, 0.3, 0.2])
mix("mix that ends early", [1000, 5], [1, 2])


# Rows of any length


def texts():
    return np.split(load("tokens"), load("offsets")[1:-1])


@twin("from_lengths", "tf.RaggedTensor.from_row_lengths")
def from_lengths():
    return tf.RaggedTensor.from_row_lengths(load("tokens"), load("lengths")).to_list()


@twin("lengths", "tf.RaggedTensor.row_lengths")
def lengths():
    return tf.RaggedTensor.from_row_splits(load("tokens"), load("offsets")).row_lengths().numpy()


def text_dataset():
    return Dataset.from_generator(texts, output_signature=tf.TensorSpec([None], tf.int64))


def padded(tokens):
    lengths = np.sum(tokens != -1, 1)
    return {"tokens": tokens, "lengths": lengths, "mask": (tokens == -1).astype(int)}


@twin("padded batch", "tf.data padded_batch")
def padded_batch():
    dataset = text_dataset().padded_batch(8, padding_values=tf.constant(-1, tf.int64))
    return [padded(tokens) for tokens in dataset.as_numpy_iterator()]


@rule("bucketed", "tf.data bucket_by_sequence_length", "as sets, no more padding")
def bucketed(ours):
    dataset = text_dataset().shuffle(500, seed=1)
    dataset = dataset.bucket_by_sequence_length(
        tf.size, [5, 10, 15, 20, 25, 30, 35], [8] * 8, padding_values=tf.constant(-1, tf.int64)
    )
    theirs = [padded(tokens) for tokens in dataset.as_numpy_iterator()]

    def read(batches):
        found = []
        for batch in batches:
            for tokens, length in zip(batch["tokens"], batch["lengths"]):
                found.append(tuple(tokens[: int(length)]))
        return sorted(found)

    def padding(batches):
        mask = [place for batch in batches for row in batch["mask"] for place in row]
        return sum(mask) / len(mask)

    expected = sorted(tuple(text) for text in texts())
    return first(
        None if read(ours) == expected else "not each row once",
        None if read(theirs) == expected else "tf.data: not each row once",
        f"{padding(ours):.3f} is padding, with tf.data {padding(theirs):.3f}"
        if padding(ours) > padding(theirs)
        else None,
        unequal("batches", len(ours), 63),
    )


# Caches


def cached(verb, of, again):
    @rule(verb, of, "in order, and how often rows are made")
    def compare(ours):
        calls = 0

        def plus_one(x):
            nonlocal calls
            calls += 1
            return x + 1

        def map_row(row):
            return {
                **row,
                "x": tf.ensure_shape(tf.numpy_function(plus_one, [row["x"]], tf.int64), [2]),
            }

        file = "plus-one" if verb.startswith("cache_in") else ""
        for old in Path().glob("plus-one*"):
            old.unlink()
        if again:
            rows(table().map(map_row).cache(file))
            calls = 0
        dataset = table().map(map_row).cache(file)
        theirs = [rows(dataset), rows(dataset)]
        return difference(ours, {"passes": theirs, "calls": calls})


cached("cache", "tf.data cache", False)
cached("cache_in", "tf.data cache in a file", False)
cached("cache_in, again", "tf.data cache in a file", True)


# Statistics


@twin("class_counts", "NumPy unique")
def class_counts():
    return list(zip(*np.unique(load("labels"), return_counts=True)))


@twin("class_weights", "scikit-learn compute_class_weight", near=1e-6)
def class_weights():
    labels = load("labels")
    return compute_class_weight("balanced", classes=np.arange(5), y=labels)


@twin("class_weights, absent classes", "scikit-learn compute_class_weight, 1", near=1e-6)
def class_weights_of_absent_classes():
    return [*class_weights(), 1, 1]


def describe(numbers):
    scaler = StandardScaler().fit(numbers)
    extremes = numbers.min(0), numbers.max(0)
    return [list(each) for each in zip(scaler.mean_, scaler.scale_, *extremes)]


@twin("stats", "scikit-learn StandardScaler", near=1e-12)
def stats():
    return describe(load("features").reshape(-1, 1))[0]


@twin("stats_axis", "scikit-learn StandardScaler", near=1e-12)
def stats_axis():
    return describe(load("features"))


@rule("standardize", "scikit-learn StandardScaler, Keras Normalization", "in order, near 1e-05")
def standardize(ours):
    features = load("features")
    normalization = keras.layers.Normalization()
    normalization.adapt(features)
    return first(
        difference(ours, plain(StandardScaler().fit_transform(features)), 1e-6),
        # Keras computes in float32.
        difference(ours, plain(np.asarray(normalization(features))), 1e-5),
    )


@twin("OneHot", "tf.one_hot")
def one_hot():
    return tf.one_hot(load("labels"), 5).numpy()


def smoothed(labels):
    """The targets of Keras, out of the gradient of its loss: that is the softmax minus them."""
    logits = tf.zeros([len(labels), 5])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        targets = tf.one_hot(labels, 5)
        loss = keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=0.1
        )
        loss = tf.reduce_sum(loss)
    return tf.nn.softmax(logits) - tape.gradient(loss, logits)


@rule("OneHot, smoothing", "label_smoothing of Keras and of PyTorch", "in order, near 1e-06")
def one_hot_smoothing(ours):
    labels = load("labels")
    logits = torch.zeros(len(labels), 5, requires_grad=True)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")
    loss(logits, torch.from_numpy(labels)).backward()
    of_torch = torch.softmax(logits.detach(), 1) - logits.grad
    return first(
        difference(ours, plain(smoothed(labels).numpy()), 1e-6),
        difference(ours, plain(of_torch), 1e-6),
    )


# Images


def windows_of_image(image, size):
    """All crops that torchvision makes of an image, by its own function of a place."""
    height, width = image.shape[1:]
    tops, lefts = range(height - size[0] + 1), range(width - size[1] + 1)
    crop = v2.functional.crop
    return [crop(image, top, left, *size) for top in tops for left in lefts]


def drawn(verb, of, transform, possible):
    """Random images: exactly the possible ones, each as often as it should within five sigmas.

    `possible` makes a list of images with their probabilities. That the transform of the twin makes
    only those is checked too.
    """

    @rule(verb, of, "as sets, each about as often as it should")
    def compare(ours):
        image = torch.from_numpy(load("images")[0])
        chances = Counter()
        for new, chance in possible(image):
            chances[str(plain(new))] += chance
        torch.manual_seed(1)
        theirs = Counter(str(plain(transform(image))) for _ in range(3600))
        ours = Counter({str(plain(np.array(new, int))): count for new, count in ours})

        def wrong(who, counts):
            if counts.keys() != chances.keys():
                return f"{who}: {len(counts)} images, of which {len(counts.keys() - chances)} " + (
                    f"are none of the {len(chances)} possible ones"
                )
            for new, count in counts.items():
                expected = 3600 * chances[new]
                if abs(count - expected) > 5 * np.sqrt(expected * (1 - chances[new])) + 1e-9:
                    return f"{who}: an image came {count} times instead of {expected:.0f}"

        draws = unequal("draws", sum(ours.values()), 3600)
        return first(draws, wrong("ours", ours), wrong("the twin", theirs))


def padded_crops(image):
    crops = windows_of_image(v2.functional.pad(image, [1]), [4, 5])
    return [(crop, 1 / len(crops)) for crop in crops]


def flipped(images, chance=0.5, flip=v2.functional.horizontal_flip):
    both = [((image, p * (1 - chance)), (flip(image), p * chance)) for image, p in images]
    return [pair for pairs in both for pair in pairs]


def crops(image):
    crops = windows_of_image(image, [2, 3])
    return [(crop, 1 / len(crops)) for crop in crops]


drawn("RandomCrop", "torchvision v2.RandomCrop", v2.RandomCrop([2, 3]), crops)
pad_and_crop = v2.RandomCrop([4, 5], padding=1)
drawn("RandomCrop, pad", "torchvision v2.RandomCrop, padding", pad_and_crop, padded_crops)
drawn(
    "RandomCrop, pad, flip",
    "torchvision v2.RandomCrop, v2.RandomHorizontalFlip",
    v2.Compose([pad_and_crop, v2.RandomHorizontalFlip()]),
    lambda image: flipped(padded_crops(image)),
)
drawn(
    "RandomFlip, horizontal",
    "torchvision v2.RandomHorizontalFlip",
    v2.RandomHorizontalFlip(),
    lambda image: flipped([(image, 1)]),
)
drawn(
    "RandomFlip, vertical",
    "torchvision v2.RandomVerticalFlip",
    v2.RandomVerticalFlip(0.25),
    lambda image: flipped([(image, 1)], 0.25, v2.functional.vertical_flip),
)


@twin("CenterCrop", "tf.image.resize_with_crop_or_pad")
def center_crop():
    def crop(image):
        last = tf.transpose(image, [1, 2, 0])
        return tf.transpose(tf.image.resize_with_crop_or_pad(last, 1, 2), [2, 0, 1])

    return map_images(crop)


@twin("Pad", "tf.pad")
def pad():
    return map_images(lambda image: tf.pad(image, [[0, 0], [1, 2], [3, 0]], constant_values=7))


def noise(verb, of, layer, mean, std):
    @rule(verb, of, "by rule, mean and deviation")
    def compare(ours):
        theirs = np.asarray(layer(np.zeros((200, 100), np.float32)))

        def wrong(who, numbers):
            numbers = np.asarray(numbers, np.float64)
            off = abs(numbers.mean() - mean) / std, abs(numbers.std() / std - 1)
            equal = len(np.unique(numbers)) < 0.99 * numbers.size
            # Five sigmas of 20,000 numbers.
            if max(off) > 5 / np.sqrt(20_000) or numbers.shape != (200, 100) or equal:
                return f"{who}: mean {numbers.mean():.3f}, deviation {numbers.std():.3f}"

        return first(wrong("ours", ours), wrong("the twin", theirs))


gaussian = keras.layers.GaussianNoise(0.5, seed=1)
noise("Noise, gaussian", "Keras GaussianNoise", lambda x: gaussian(x, training=True), 0, 0.5)
noise(
    "Noise, uniform",
    "NumPy uniform",
    lambda x: np.random.default_rng(1).uniform(-1, 2, x.shape),
    0.5,
    np.sqrt(9 / 12),
)


def mixed(ours, transform, parameters):
    """Compares batches with what a transform of torchvision makes with given parameters."""
    images = torch.from_numpy(load("mixed_images"))
    labels = torch.nn.functional.one_hot(torch.arange(8)).float()
    all_parameters = []
    for batch in ours:
        given = parameters(batch, images)
        all_parameters.append(str(given))
        given = {"labels": labels, "batch_size": 8, **given}
        theirs = {
            "images": transform.transform(images, given),
            "labels": transform.transform(labels, given),
        }
        if found := difference(batch, plain(theirs), 1e-6):
            return found
    few = len(set(all_parameters)) < 8
    return first(unequal("batches", len(ours), 10), "epochs are alike" if few else None)


@rule("MixUp", "torchvision v2.MixUp, given lambda", "in order, near 1e-06")
def mix_up(ours):
    return mixed(ours, v2.MixUp(num_classes=8), lambda batch, _: {"lam": batch["labels"][0][0]})


@rule("CutMix", "torchvision v2.CutMix, given box", "in order, near 1e-06")
def cut_mix(ours):
    def parameters(batch, images):
        pasted = np.asarray(batch["images"], np.float32) != images.numpy()
        ys, xs = np.nonzero(pasted.any((0, 1)))
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
        area = (box[2] - box[0]) * (box[3] - box[1])
        return {"box": box, "lam_adjusted": 1 - area / (5 * 6)}

    return mixed(ours, v2.CutMix(num_classes=8), parameters)


# Folds and parts


# The labels that a splitter is given by keyword.
FILES = {"y": "labels", "groups": "groups"}


def as_sets(parts):
    return [set(map(int, part)) for part in parts]


def shares_differ(parts, labels, limit):
    """Whether the numbers of rows of a class differ by more than a limit between parts."""
    for label in np.unique(labels):
        counts = [sum(labels[row] == label for row in part) for part in parts]
        if max(counts) - min(counts) > limit:
            return f"class {label} has {counts} rows in the folds"


def folds(verb, splitter, kind, wrong):
    @rule(verb, f"scikit-learn {type(splitter).__name__}", "by rule, sizes, classes, groups")
    def compare(ours):
        labels = load(FILES[kind])
        theirs = list(splitter.split(np.zeros(200), **{kind: labels}))

        def check(who, folds):
            valid = as_sets(part for _, part in folds)
            if sorted(row for part in valid for row in part) != list(range(200)):
                return f"{who}: not each row in one fold"
            for train, part in zip(as_sets(part for part, _ in folds), valid):
                if train & part or len(train) + len(part) != 200:
                    return f"{who}: the training part is not all other rows"
            return wrong(valid, labels)

        sizes = [sorted(len(valid) for _, valid in folds) for folds in (ours, theirs)]
        return first(check("ours", ours), check("scikit-learn", theirs), unequal("sizes", *sizes))


def group_in_two(parts, groups):
    found = Counter(group for part in parts for group in {groups[row] for row in part})
    return "a group is in two parts" if max(found.values()) > 1 else None


folds("k_fold", splits.KFold(7, shuffle=True, random_state=1), "y", lambda *_: None)
folds(
    "stratified_k_fold",
    splits.StratifiedKFold(5, shuffle=True, random_state=1),
    "y",
    lambda parts, labels: shares_differ(parts, labels, 1),
)
folds("grouped_k_fold", splits.GroupKFold(5), "groups", group_in_two)


def parts(verb, of, file, wrong):
    @rule(verb, f"scikit-learn {of}", "by rule, sizes, classes, groups")
    def compare(ours):
        labels = load(file) if file else None
        if of == "GroupShuffleSplit":
            # It counts groups, not rows, so only that no group is in both parts is the same.
            splitter = splits.GroupShuffleSplit(1, test_size=0.3, random_state=1)
            ((train, valid),) = splitter.split(np.zeros(200), groups=labels)
        else:
            options = {"test_size": 0.3, "random_state": 1, "stratify": labels}
            train, valid = splits.train_test_split(np.arange(200), **options)

        def check(who, both):
            both = as_sets(both)
            if sorted(row for part in both for row in part) != list(range(200)):
                return f"{who}: not each row in one part"
            if of == "train_test_split" and [len(part) for part in both] != [140, 60]:
                return f"{who}: {len(both[0])} and {len(both[1])} rows"
            return wrong(both, labels)

        return first(check("ours", ours), check("scikit-learn", [train, valid]))


def shares_are(both, labels):
    for label, all_rows in zip(*np.unique(labels, return_counts=True)):
        count = sum(labels[row] == label for row in both[1])
        if abs(count - 0.3 * all_rows) > 2:
            return f"class {label} has {count} of {all_rows} rows in the second part"


parts("Partition::split", "train_test_split", None, lambda *_: None)
parts("split", "train_test_split", None, lambda *_: None)
parts("stratified_split", "train_test_split", "labels", shares_are)
parts("grouped_split", "GroupShuffleSplit", "groups", group_in_two)


# Samplers that draw


def frequencies(verb, of, weights, theirs):
    @rule(verb, of, "by rule, frequencies")
    def compare(ours):
        shares = np.array(weights) / sum(weights)

        def wrong(who, rows):
            counts = np.bincount(rows, minlength=len(weights))
            off = np.abs(counts - len(rows) * shares)
            if (off > 5 * np.sqrt(len(rows) * shares * (1 - shares))).any():
                return f"{who}: {counts.tolist()}"

        return first(
            unequal("draws", len(ours), 20_000),
            wrong("ours", ours),
            wrong("the twin", list(theirs())),
        )


WEIGHTS = [1.0, 2.0, 0.0, 5.0, 2.0]
frequencies(
    "weighted",
    "PyTorch WeightedRandomSampler",
    WEIGHTS,
    lambda: torch.utils.data.WeightedRandomSampler(WEIGHTS, 20_000),
)
frequencies(
    "with_replacement",
    "PyTorch RandomSampler, replacement",
    [1] * 5,
    lambda: torch.utils.data.RandomSampler(range(5), True, 20_000),
)


@rule("weighted_without_replacement", "PyTorch WeightedRandomSampler", "as sets")
def weighted_without_replacement(ours):
    theirs = torch.utils.data.WeightedRandomSampler(WEIGHTS, 4, replacement=False)
    return unequal("rows", sorted(ours), sorted(theirs))


@rule("balanced", "tf.data choose_from_datasets", "by rule, rows of each class")
def balanced(ours):
    labels = load("labels")
    counts = np.bincount(labels[np.array(ours)], minlength=5).tolist()
    classes = [Dataset.from_tensor_slices(np.flatnonzero(labels == c)).repeat() for c in range(5)]
    choice = Dataset.choose_from_datasets(classes, Dataset.range(5).repeat(40))
    theirs = list(choice.as_numpy_iterator())
    # Neither gives a row again before all rows of its class have come.
    rare = [np.bincount(rows, minlength=200)[labels == 4] for rows in (np.array(ours), theirs)]
    spread = [int(counts.max() - counts.min()) for counts in rare]
    return first(
        unequal("rows of each class", counts, np.bincount(labels[theirs]).tolist()),
        f"rows of a class came {rare[0].tolist()} times" if max(spread) > 1 else None,
    )


def main(folder, chosen):
    folder.mkdir(parents=True, exist_ok=True)
    make_files(folder)
    command = ["cargo", "run", "--quiet", "--example", "twins", folder.resolve()]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    os.chdir(folder)
    verbs = [verb for verb, *_ in VERBS]
    assert len(set(verbs)) == len(verbs), "a verb has two twins"
    if unknown := set(chosen) - set(verbs):
        sys.exit(f"no such verb: {', '.join(unknown)}")
    failed = [f"{verb}: no twin" for verb in lines.keys() - set(verbs)]
    for verb, of, how, compare in VERBS:
        if chosen and verb not in chosen:
            continue
        found = compare(json.loads(lines[verb])) if verb in lines else "twins.rs does not have it"
        print(f"{'DIFFERS' if found else 'OK':8}{verb:34}{how:44}{of}", flush=True)
        if found:
            failed.append(f"{verb}: {found}")
    for text in failed:
        print(text)
    print(f"{len(chosen) or len(VERBS)} verbs, {len(failed)} differ")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
