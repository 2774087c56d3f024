"""TensorFlow's tf.data: the pipeline of its tutorials, and the fastest that we know."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from harness import main

AUTOTUNE = tf.data.AUTOTUNE


def convert(job):
    """The function that makes float32 features of a batch."""

    def batch(features, labels):
        features = tf.cast(features, tf.float32)
        return (features * job.scale if job.scale else features), labels

    return batch


def use_threads(job):
    """Lets TensorFlow have as many threads as the others."""
    tf.config.threading.set_inter_op_parallelism_threads(job.threads)
    tf.config.threading.set_intra_op_parallelism_threads(job.threads)


def from_tensor_slices(job):
    """`from_tensor_slices`, a shuffle buffer of all rows, `batch`, `map`, `prefetch`."""
    use_threads(job)
    dataset = tf.data.Dataset.from_tensor_slices(tuple(job.read()))
    dataset = dataset.shuffle(job.rows, reshuffle_each_iteration=True).batch(job.batch)
    dataset = dataset.map(convert(job), num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)
    return lambda: dataset


def permutation_gather(job):
    """A permutation an epoch and a `tf.gather` a batch: nothing is done row by row."""
    use_threads(job)
    features, labels = map(tf.constant, job.read())
    to_floats = convert(job)

    def epoch(_):
        order = tf.random.shuffle(tf.range(job.rows, dtype=tf.int64))

        def batch(number):
            rows = order[number * job.batch : tf.minimum((number + 1) * job.batch, job.rows)]
            return to_floats(tf.gather(features, rows), tf.gather(labels, rows))

        return tf.data.Dataset.range(job.batches).map(batch, num_parallel_calls=AUTOTUNE)

    dataset = tf.data.Dataset.range(1).flat_map(epoch).prefetch(AUTOTUNE)
    return lambda: dataset


if __name__ == "__main__":
    main("tfdata", {idiom.__name__: idiom for idiom in (from_tensor_slices, permutation_gather)})
