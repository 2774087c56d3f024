"""The fourteen jobs in tf.data, and in Grain where that fits better (jobs 9 and 11).

    make_data.py FOLDER
    tfdata_jobs.py FOLDER [JOB...]

The lines between `# job N` and `# end` are those that the job needs; `count.py` counts them. What
follows them checks the result. `requirements.txt` has the versions with which it ran, on Linux with
Python 3.11. Images keep their channels last, as TensorFlow has them, except in job 3.
"""

import json
import os
import sys
from glob import glob
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grain
import numpy as np
import tensorflow as tf
from sklearn.model_selection import StratifiedKFold

AUTOTUNE = tf.data.AUTOTUNE
# Of each channel of CIFAR-10.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def arrays(dataset):
    """All batches of an epoch behind each other, as NumPy arrays."""
    return [np.concatenate(batches) for batches in zip(*dataset.as_numpy_iterator())]


def check_images(batch, shape):
    """u8 images divided by 255, with the labels of `make_data.py`."""
    images, labels = batch
    assert images.dtype == tf.float32
    assert images.shape == shape
    pixels = np.round(images[:, 0, 0].numpy() * 255).astype(int)
    assert (pixels % 10 == labels.numpy()).all()


def job_1():
    """Files for training and validation."""

    # job 1
    def dataset(part):
        images, labels = np.load(f"{part}_images.npy"), np.load(f"{part}_labels.npy")
        return tf.data.Dataset.from_tensor_slices((images, labels))

    def scale(images, labels):
        return tf.cast(images, tf.float32) / 255, labels

    train = dataset("train").shuffle(600).batch(64).map(scale).prefetch(AUTOTUNE)
    valid = dataset("valid").batch(64).map(scale).prefetch(AUTOTUNE)
    # end
    for _ in range(2):
        batches = list(train)
        assert len(batches) == 10
        check_images(batches[0], (64, 28, 28))
        assert (batches[0][1].numpy() != np.arange(64) % 10).any(), "not shuffled"
    batches = list(valid)
    assert [len(labels) for _, labels in batches] == [64, 36]
    check_images(batches[1], (36, 28, 28))
    assert (batches[0][1].numpy() == np.arange(64) % 10).all()


def job_2():
    """Two arrays of an archive."""

    # job 2
    def scale(images, labels):
        return tf.cast(images, tf.float32) / 255, labels

    with np.load("mnist.npz") as npz:
        dataset = tf.data.Dataset.from_tensor_slices((npz["x_train"], npz["y_train"]))
    dataset = dataset.shuffle(600).batch(64).map(scale).prefetch(AUTOTUNE)
    # end
    batches = list(dataset)
    assert len(batches) == 10
    check_images(batches[0], (64, 28, 28))


def job_3():
    """CIFAR: channels first, normalised per channel, labels without their second axis."""

    # job 3
    def normalize(images, labels):
        images = (tf.cast(images, tf.float32) / 255 - MEAN) / STD
        return tf.transpose(images, [0, 3, 1, 2]), tf.squeeze(labels, 1)

    images, labels = np.load("cifar_train_images.npy"), np.load("cifar_train_labels.npy")
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.shuffle(600).batch(64).map(normalize).prefetch(AUTOTUNE)
    # end
    images, labels = next(iter(dataset))
    assert (images.shape, labels.shape) == ((64, 3, 32, 32), (64,))
    pixels = (images[:, :, 16, 16].numpy() * STD + MEAN) * 255
    rows = pixels[:, 0] / 3
    assert np.allclose(pixels[:, 2], rows * 3 + 2, atol=1e-3)
    assert (np.round(rows).astype(int) % 10 == labels.numpy()).all()


def job_4():
    """A random crop and flip, in training only."""

    # job 4
    def dataset(part):
        images = np.load(f"cifar_{part}_images.npy")
        labels = np.load(f"cifar_{part}_labels.npy")[:, 0]
        return tf.data.Dataset.from_tensor_slices((images, labels))

    def augment(image, label):
        image = tf.pad(image, [[4, 4], [4, 4], [0, 0]])
        image = tf.image.random_crop(image, [32, 32, 3])
        return tf.image.random_flip_left_right(image), label

    def scale(images, labels):
        return tf.cast(images, tf.float32) / 255, labels

    train = dataset("train").shuffle(600).map(augment, num_parallel_calls=AUTOTUNE)
    train = train.batch(64).map(scale).prefetch(AUTOTUNE)
    valid = dataset("valid").batch(64).map(scale).prefetch(AUTOTUNE)
    # end
    images, _ = arrays(train)
    assert images.shape == (600, 32, 32, 3)
    # The column of 255 is at the left, somewhere at the left or right after a shift, or cut off.
    bright = np.unique(np.nonzero(images[:, 16, :, 0] == 1)[1]).tolist()
    assert bright == [0, 1, 2, 3, 4, 27, 28, 29, 30, 31], bright
    images, labels = arrays(valid)
    assert (images[:, :, 0] == 1).all()
    assert (np.round(images[:, 16, 16, 0] * 85).astype(int) % 10 == labels).all()


def job_5():
    """A table whose last column is the label."""
    # job 5
    table = np.load("table.npy")
    columns = table[:, :-1].astype(np.float32), table[:, -1].astype(np.int64)
    dataset = tf.data.Dataset.from_tensor_slices(columns).shuffle(1000).batch(64).prefetch(AUTOTUNE)
    # end
    features, labels = next(iter(dataset))
    assert (features.shape, features.dtype) == ((64, 9), tf.float32)
    assert (features[:, 0].numpy() % 3 == labels.numpy()).all()


def job_6():
    """Windows of 24 steps, and the 6 steps that follow."""
    # job 6
    dataset = tf.keras.utils.timeseries_dataset_from_array(
        np.load("series.npy"), None, sequence_length=30, batch_size=64, shuffle=True
    )
    dataset = dataset.map(lambda windows: (windows[:, :24], windows[:, 24:]))
    # end
    past, future = next(iter(dataset))
    assert (past.shape, future.shape) == ((64, 24, 4), (64, 6, 4))
    past, future = arrays(dataset)
    assert len(past) == 971
    assert (past[:, 0, 0] + 24 == future[:, 0, 0]).all()
    assert (past[:, 0] + 29 == future[:, 5]).all()


def job_7():
    """Windows of 128 tokens, and the same moved on by one."""

    # job 7
    def shift(windows):
        return windows[:, :-1], windows[:, 1:]

    tokens = np.load("tokens.npy").astype(np.int64)
    dataset = tf.keras.utils.timeseries_dataset_from_array(
        tokens, None, sequence_length=129, sequence_stride=128, batch_size=8, shuffle=True
    ).map(shift)
    # end
    x, y = next(iter(dataset))
    assert (x.shape, x.dtype) == ((8, 128), tf.int64)
    x, y = arrays(dataset)
    assert len(x) == 78
    assert (x + 1 == y).all()
    assert (x[:, 0] % 128 == 0).all()


def job_8():
    """Texts of several lengths, padded with 0, with a mask."""

    # job 8
    def with_mask(text):
        return text, tf.ones_like(text, tf.bool)

    tokens, lengths = np.load("texts_tokens.npy"), np.load("texts_lengths.npy")
    texts = tf.RaggedTensor.from_row_lengths(tokens, lengths)
    dataset = tf.data.Dataset.from_tensor_slices(texts).map(with_mask)
    dataset = dataset.shuffle(200).padded_batch(16).prefetch(AUTOTUNE)
    # end
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == 13
    for padded, mask in batches:
        assert padded.shape == mask.shape
        assert ((padded != 0) == mask).all()
    assert sum(mask.sum() for _, mask in batches) == lengths.sum()


def job_9():
    """A hundred shards as one dataset. The files are mapped. This is Grain."""

    # job 9
    def mapped(pattern):
        shards = [np.load(path, mmap_mode="r") for path in sorted(glob(pattern))]
        return grain.MapDataset.concatenate([grain.MapDataset.source(shard) for shard in shards])

    parts = [mapped("shards/images-*.npy"), mapped("shards/labels-*.npy")]
    dataset = grain.experimental.ZipMapDataset(parts).shuffle(seed=42).batch(64).to_iter_dataset()
    # end
    images, labels = map(np.concatenate, zip(*dataset))
    assert (images.shape, images.dtype) == ((2000, 28, 28), np.uint8)
    assert (labels != np.arange(2000)).any(), "not shuffled"
    assert (np.sort(labels) == np.arange(2000)).all()
    assert (images[:, 5, 5] == labels % 250).all()


def job_10():
    """Rare classes: each class is drawn as often as the other."""

    # job 10
    def rows_of(label):
        rows = labels == label
        dataset = tf.data.Dataset.from_tensor_slices((features[rows], labels[rows]))
        return dataset.shuffle(1000).repeat()

    features, labels = np.load("rare_features.npy"), np.load("rare_labels.npy")
    dataset = tf.data.Dataset.sample_from_datasets([rows_of(0), rows_of(1)], [0.5, 0.5])
    dataset = dataset.take(1000).batch(64).prefetch(AUTOTUNE)
    # end
    features, drawn = arrays(dataset)
    assert len(drawn) == 1000
    assert ((features[:, 0] % 20 == 0) == drawn).all()
    assert 400 < drawn.sum() < 600


def job_11():
    """A loop that is killed continues with the next batch, as if nothing had happened. This is
    Grain, whose state is the number of the batch.

    tf.data has `tf.train.Checkpoint(batches=iterator)`. Its file holds the rows of the shuffle
    buffer. The epochs after the resumed one are the same if both programs set the same global seed.
    """

    # job 11
    def open_batches():
        dataset = grain.MapDataset.source(np.load("table.npy", mmap_mode="r")).seed(42)
        return iter(dataset.shuffle().batch(64).repeat(2).to_iter_dataset())

    batches = open_batches()
    # end
    taken = [next(batches) for _ in range(5)]
    # job 11
    Path("resume.json").write_text(json.dumps(batches.get_state()))
    # end
    expected = list(batches)
    # job 11
    batches = open_batches()
    batches.set_state(json.loads(Path("resume.json").read_text()))
    # end
    rest = list(batches)
    assert len(rest) == len(expected) == 11 + 16
    assert all(map(np.array_equal, rest, expected))
    rows = np.concatenate(taken + rest[:11])[:, 0]
    assert (np.sort(rows) == np.arange(1000)).all()
    assert not np.array_equal(taken[0], rest[11])


def job_12():
    """The rows of one file whose label is below 5, with all rows of another behind them."""

    # job 12
    def dataset(part):
        images, labels = np.load(f"{part}_images.npy"), np.load(f"{part}_labels.npy")
        return tf.data.Dataset.from_tensor_slices((images, labels))

    def scale(images, labels):
        return tf.cast(images, tf.float32) / 255, labels

    kept = dataset("train").filter(lambda image, label: label < 5)
    both = kept.concatenate(dataset("valid"))
    batches = both.shuffle(700).batch(64).map(scale).prefetch(AUTOTUNE)
    # end
    check_images(next(iter(batches)), (64, 28, 28))
    _, labels = arrays(batches)
    assert np.bincount(labels).tolist() == [70] * 5 + [10] * 5


def fit(train):
    """A linear model of three classes after ten epochs."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    model.fit(train, epochs=10, verbose=0)
    return model


def accuracy(model, valid):
    return model.evaluate(valid, verbose=0, return_dict=True)["accuracy"]


def job_13():
    """Five folds with as many of each class, and a model for each."""

    # job 13
    def dataset(rows):
        return tf.data.Dataset.from_tensor_slices((features[rows], labels[rows]))

    features, labels, scores = np.load("folds_features.npy"), np.load("folds_labels.npy"), []
    folds = StratifiedKFold(5, shuffle=True, random_state=42).split(features, labels)
    for train_rows, valid_rows in folds:
        train = dataset(train_rows).shuffle(240).batch(32).prefetch(AUTOTUNE)
        valid = dataset(valid_rows).batch(32).prefetch(AUTOTUNE)
        model = fit(train)
        scores.append(accuracy(model, valid))
    # end
    assert len(scores) == 5
    assert (len(arrays(train)[1]), len(arrays(valid)[1])) == (240, 60)
    assert np.bincount(arrays(valid)[1]).tolist() == [20, 20, 20]
    assert min(scores) > 0.9, scores


def job_14():
    """Predictions in the order of the rows, written as a .npy file."""
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
    # job 14
    images = tf.data.Dataset.from_tensor_slices(np.load("valid_images.npy")).batch(64)
    dataset = images.map(lambda images: tf.cast(images, tf.float32) / 255).prefetch(AUTOTUNE)
    np.save("predictions.npy", model.predict(dataset, verbose=0))
    # end
    written = np.load("predictions.npy")
    assert (written.shape, written.dtype) == ((100, 10), np.float32)
    row = np.full((1, 28, 28), 77 / 255, np.float32)
    assert np.allclose(written[77], model(row).numpy(), atol=1e-5)
    assert not np.allclose(written[77], written[76], atol=1e-5)


def main(folder, *chosen):
    os.chdir(folder)
    tf.keras.utils.set_random_seed(42)
    for number in chosen or range(1, 15):
        globals()[f"job_{number}"]()
        print(f"job {number}: ok", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
