"""Slices a second of Model D's network as Keras users train it; benchmarks/training.py calls it.

PYTHON benchmarks/keras_loop.py '{"filters": [...], "strides": [...], ...}', where PYTHON has keras
and tensorflow: the same layers, batch and ranges of augmentation (by Keras' own layers), and `fit`
on an array.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def convolution(maps: Any, filters: int, kernel: int, stride: int) -> Any:
    """A convolution and its batch normalisation."""
    maps = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(maps)
    return layers.BatchNormalization()(maps)


def model(asked: dict[str, Any]) -> keras.Model:
    """Augmentation, C_Block, R_Blocks, dense layer."""
    images = keras.Input((asked["size"], asked["size"], 1))
    shift, edge = asked["shift_share"], {"fill_mode": "nearest"}
    maps = layers.RandomRotation(asked["rotation_degrees"] / 360, **edge)(images)
    maps = layers.RandomShear(asked["shear"], asked["shear"], **edge)(maps)
    maps = layers.RandomZoom(asked["zoom"], **edge)(maps)
    maps = layers.RandomTranslation(shift, shift, **edge)(maps)
    maps = layers.GaussianNoise(asked["noise_sd"])(maps)
    first, *rest = zip(asked["filters"], asked["strides"], strict=True)
    maps = layers.ReLU()(convolution(maps, first[0], 3, first[1]))
    for filters, stride in rest:
        main = layers.ReLU()(convolution(maps, filters, 3, stride))
        main = convolution(main, filters, 3, 1)
        same = maps.shape[-1] == filters and stride == 1
        shortcut = maps if same else convolution(maps, filters, 1, stride)
        maps = layers.ReLU()(layers.Add()([main, shortcut]))
    maps = layers.Dropout(asked["dropout"])(layers.Flatten()(maps))
    network = keras.Model(images, layers.Dense(2, activation="softmax")(maps))
    network.compile(keras.optimizers.AdamW(1e-3), "sparse_categorical_crossentropy")
    return network


def main() -> None:
    """Train an epoch to warm up and one to measure, and print the rate as JSON."""
    asked = json.loads(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(asked["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(asked["threads"])
    n, size, batch = asked["slices"], asked["size"], asked["batch"]
    images = np.random.default_rng(0).random((n, size, size, 1), dtype=np.float32)
    event = np.arange(n) % 3 == 0
    network = model(asked)
    network.fit(images[: 8 * batch], event[: 8 * batch], batch_size=batch, verbose=0)
    began = time.perf_counter()
    network.fit(images, event, batch_size=batch, verbose=0)
    print(json.dumps({"rate": n / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main()
