"""Draw an image set of ten shapes and train the small example network on it.

The script draws its own images (28 x 28, grayscale, ten classes of shapes over
textured ground), trains a chain of six 3 x 3 convolutions with batch norm, and
writes the network, the test images and the calibration images as .npy files.
It needs numpy and torch and nothing else, and it downloads nothing.

    python3 train_network.py                    draw, train, write
    python3 train_network.py --evaluate         test the network written before
    python3 train_network.py --evaluate FOLDER  test a changed copy of it
    python3 train_network.py --evaluate --replace conv5.weight.npy=OTHER.npy
    python3 train_network.py --sensitivity      spoil one layer at a time

With the defaults, drawing took 18 s and training 514 s on two cores that
other programs were using too.  Everything is seeded: the images are the same
on every run, and so are the weights with the same torch, processor and number
of threads; otherwise rounding makes them drift apart.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

CLASSES = ["disc", "ring", "square", "triangle", "pentagon",
           "star", "cross", "crescent", "heart", "arrow"]
SIDE = 28                         # width and height of an image in pixels
PIXEL_MEAN, PIXEL_STD = 0.5, 0.2  # network input: (x / 255 - mean) / std
LAYERS = [(1, 16, 1), (16, 32, 2), (32, 32, 1),  # inputs, outputs, stride
          (32, 64, 2), (64, 64, 1), (64, 64, 1)]
TEST_COUNT, CALIBRATION_COUNT = 1000, 256
NUMBERS = [("images", 50000, 1000), ("epochs", 10, 1),  # default, least
           ("seed", 1, 0), ("threads", 2, 1)]
PIXEL_Y, PIXEL_X = np.divmod(np.arange(SIDE * SIDE, dtype=np.float32), SIDE)
HERE = os.path.dirname(os.path.abspath(__file__))


def shape_outlines():
    """Return the corners of each class as an array (corners, 2), radius ~1."""
    def on_circle(angles):
        return np.stack([np.sin(angles), np.cos(angles)], 1)

    def regular(corners):
        return on_circle(2 * np.pi * np.arange(corners) / corners)

    star = regular(10) * np.tile([[1.1], [0.45]], (5, 1))
    a, b = 0.34, 1
    cross = np.array([[a, b], [a, a], [b, a], [b, -a], [a, -a], [a, -b],
                      [-a, -b], [-a, -a], [-b, -a], [-b, a], [-a, a], [-a, b]])
    # A crescent is the unit disc less a disc of radius 0.85 around (0, 0.55).
    height = (1 - 0.85 ** 2 + 0.55 ** 2) / (2 * 0.55)
    outer, inner = np.arccos(height), np.arccos((height - 0.55) / 0.85)
    inside = np.linspace(2 * np.pi - inner, inner, 14)[1:-1]
    crescent = [0, 0.2] + np.concatenate([
        on_circle(np.linspace(outer, 2 * np.pi - outer, 18)),
        0.85 * on_circle(inside) + [0, 0.55]])
    t = 2 * np.pi * np.arange(26) / 26
    heart = np.stack([16 * np.sin(t) ** 3,
                      13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t)
                      - np.cos(4 * t) + 2], 1) / 15.5
    arrow = np.array([[0, 1.1], [0.8, 0.15], [0.3, 0.15], [0.3, -1.1],
                      [-0.3, -1.1], [-0.3, 0.15], [-0.8, 0.15]])
    return dict(zip(CLASSES, [
        regular(28), regular(28), regular(4), regular(3) * 1.1, regular(5),
        star, cross, crescent, heart, arrow]))


def signed_distance(corners):
    """Distance of every pixel to closed polygons, negative inside.

    corners is (n, corners, 2) in pixels, the result is (n, SIDE * SIDE).  A
    polygon with two corners is a line segment and has no inside.
    """
    corners = corners.astype(np.float32)[..., None]
    nearest = np.full((len(corners), SIDE * SIDE), np.inf, np.float32)
    inside = np.zeros(nearest.shape, bool)
    for k in range(corners.shape[1]):
        start_x, start_y = corners[:, k - 1, 0], corners[:, k - 1, 1]
        end_x, end_y = corners[:, k, 0], corners[:, k, 1]
        edge_x, edge_y = end_x - start_x, end_y - start_y
        x, y = PIXEL_X - start_x, PIXEL_Y - start_y
        along = (x * edge_x + y * edge_y) / (edge_x ** 2 + edge_y ** 2)
        along = np.clip(along, 0, 1)
        nearest = np.minimum(nearest, (x - along * edge_x) ** 2
                             + (y - along * edge_y) ** 2)
        left = (edge_x * y > edge_y * x) == (edge_y > 0)
        inside ^= ((start_y > PIXEL_Y) != (end_y > PIXEL_Y)) & left
    return np.where(inside, -1, 1) * np.sqrt(nearest)


def blend(images, distance, level, softness):
    """Paint level where distance is negative, with an edge softness wide."""
    cover = np.clip(0.5 - distance / softness, 0, 1)
    return images + cover * (level - images)


def smooth_noise(rng, count, cells):
    """Noise of unit size that varies over SIDE / cells pixels."""
    position = np.linspace(0, cells, SIDE)
    weights = np.maximum(0, 1 - abs(position[:, None] - np.arange(cells + 1)))
    grid = rng.normal(size=(count, cells + 1, cells + 1))
    return (weights @ grid @ weights.T).reshape(count, -1)


def draw_class(rng, name, count):
    """Draw count images of one class as (count, SIDE * SIDE) in 0 .. 255."""
    def uniform(low, high):
        return rng.uniform(low, high, (count, 1))

    def signs():
        return rng.choice([-1, 1], (count, 1))

    def strokes(images, chances, half_lengths, half_widths, contrasts):
        for chance in chances:
            level = ground + signs() * uniform(*contrasts)
            angle = uniform(0, np.pi)
            direction = np.hstack([np.cos(angle), np.sin(angle)])
            reach = uniform(*half_lengths) * direction
            middle = rng.uniform(1, SIDE - 2, (count, 2))
            ends = np.stack([middle - reach, middle + reach], 1)
            distance = signed_distance(ends) - uniform(*half_widths)
            drawn = blend(images, distance, level, 1)
            images = np.where(uniform(0, 1) < chance, drawn, images)
        return images

    ground = uniform(70, 185)
    texture = (uniform(-25, 25) * (2 * PIXEL_X / (SIDE - 1) - 1)
               + uniform(-25, 25) * (2 * PIXEL_Y / (SIDE - 1) - 1))
    texture += uniform(0, 18) * smooth_noise(rng, count, 4)
    texture += uniform(0, 18) * smooth_noise(rng, count, 9)
    images = strokes(ground + texture, (0.7, 0.5, 0.3), (2.5, 7), (0.4, 1),
                     (25, 90))

    # The shape: outline -> stretch and shear -> turn -> size -> place.
    radius, stretch = uniform(5.5, 10), np.exp(uniform(-0.22, 0.22))
    x, y = shape_outlines()[name].T
    x, y = stretch * x + uniform(-0.25, 0.25) * y, y / stretch
    angle = uniform(0, 2 * np.pi)
    x, y = (np.cos(angle) * x - np.sin(angle) * y,
            np.sin(angle) * x + np.cos(angle) * y)
    middle, room = (SIDE - 1) / 2, (SIDE - 1) / 2 - 0.85 * radius
    distance = signed_distance(np.stack([
        middle + room * uniform(-1, 1) + radius * x,
        middle + room * uniform(-1, 1) + radius * y], 2))
    half_width = uniform(0.7, 1.3)
    if name == "ring":  # a disc in outline
        distance = abs(distance + half_width) - half_width
    elif name not in ("disc", "crescent"):
        outlined = (uniform(0, 1) < 0.35) & (radius > 7)
        distance = np.where(outlined, abs(distance) - half_width, distance)
    contrast = uniform(32, 105) * signs()
    images = blend(images, distance, ground + contrast
                   + uniform(0.4, 1) * texture, uniform(0.8, 1.8))

    images = strokes(images, (0.55, 0.3), (8, 25), (0.5, 1.3), (20, 110))
    noise = np.minimum(uniform(3, 18), 0.42 * abs(contrast))
    return images + noise * rng.normal(size=images.shape)


def draw_images(count, seed, stream):
    """Return images (count, 1, SIDE, SIDE) and labels (count), both uint8."""
    rng = np.random.default_rng([seed, stream])
    labels = (np.arange(count) % len(CLASSES)).astype(np.uint8)
    images = np.zeros((count, SIDE * SIDE), np.uint8)
    for label, name in enumerate(CLASSES):
        places = np.flatnonzero(labels == label)
        for first in range(0, len(places), 100):
            part = places[first:first + 100]
            images[part] = np.clip(np.rint(
                draw_class(rng, name, len(part))), 0, 255)
    order = rng.permutation(count)
    return images[order].reshape(-1, 1, SIDE, SIDE), labels[order]


def make_network():
    """Six times convolution, batch norm, ReLU; then mean and linear layer."""
    parts = {}
    for number, (inputs, outputs, stride) in enumerate(LAYERS, 1):
        parts["conv%d" % number] = nn.Conv2d(inputs, outputs, 3, stride=stride,
                                             padding=1, bias=False)
        parts["bn%d" % number] = nn.BatchNorm2d(outputs, eps=1e-5)
        parts["relu%d" % number] = nn.ReLU()
    parts["mean"], parts["flat"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    parts["linear"] = nn.Linear(LAYERS[-1][1], len(CLASSES))
    return nn.Sequential(OrderedDict(parts))


def to_input(images):
    """Turn uint8 images into the network's float32 input."""
    return (torch.from_numpy(images).float() / 255 - PIXEL_MEAN) / PIXEL_STD


def predict(network, images):
    """Return the class that the network gives each uint8 image."""
    network.eval()
    with torch.no_grad():
        return network(to_input(images)).argmax(1).numpy()


def train(images, labels, epochs, seed):
    """Train by SGD with momentum, weight decay and a cosine learning rate."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 3])
    network, batch = make_network(), 128
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9,
                                nesterov=True, weight_decay=5e-4)
    steps = len(images) // batch
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=epochs * steps)
    for epoch in range(epochs):
        network.train()
        started, correct = time.time(), 0
        order = rng.permutation(len(images))
        for step in range(steps):
            chosen = order[step * batch:(step + 1) * batch]
            # Turning or mirroring a batch leaves every class what it was.
            turned = np.rot90(images[chosen], rng.integers(4), (2, 3))
            if rng.integers(2):
                turned = turned[..., ::-1]
            target = torch.from_numpy(labels[chosen].astype(np.int64))
            output = network(to_input(np.ascontiguousarray(turned)))
            loss = nn.functional.cross_entropy(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            correct += int((output.argmax(1) == target).sum())
        print("epoch %d of %d: training top-1 %.2f %%, %.0f s" % (
            epoch + 1, epochs, 100 * correct / (steps * batch),
            time.time() - started), flush=True)
    return network


def load_array(path, shape, dtype):
    """Load one .npy file; refuse it unless its shape and type are right."""
    try:
        with open(path, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        sys.exit("error: cannot read %s: %s" % (path, error))
    if array.shape != tuple(shape) or array.dtype != dtype:
        sys.exit("error: %s is %s %s, expected %s %s" % (
            path, array.dtype, array.shape, np.dtype(dtype), tuple(shape)))
    if not np.isfinite(array).all():
        sys.exit("error: %s is not finite" % path)
    return np.ascontiguousarray(array)


def weights_of(network):
    """Return the arrays of a network by the names of their files."""
    state = network.state_dict()
    return {name + ".npy": value for name, value in state.items()
            if not name.endswith("num_batches_tracked")}


def load_network(folder, replacements=()):
    """Load the network in folder; take replaced arrays from other files."""
    network = make_network()
    weights = weights_of(network)
    paths = {name: os.path.join(folder, name) for name in weights}
    for replacement in replacements:
        name, _, path = replacement.partition("=")
        if name not in paths or not path:
            sys.exit("error: --replace takes NAME.npy=FILE with the name of "
                     "one of the network's files, not %r" % replacement)
        paths[name] = path
    for name, value in weights.items():
        value.copy_(torch.from_numpy(
            load_array(paths[name], value.shape, np.float32)))
    return network


def load_test():
    images = load_array(os.path.join(HERE, "test_images.npy"),
                        (TEST_COUNT, 1, SIDE, SIDE), np.uint8)
    return images, load_array(os.path.join(HERE, "test_labels.npy"),
                              (TEST_COUNT,), np.uint8)


def run_training(folder, count, epochs, seed):
    """Draw, train, and only then write; a failure leaves old files alone."""
    try:  # now, not when the training is done
        os.makedirs(os.path.join(folder, "network"), exist_ok=True)
        tempfile.TemporaryDirectory(dir=folder).cleanup()
    except OSError as error:
        sys.exit("error: cannot write to %s: %s" % (folder, error))
    started = time.time()
    images, labels = draw_images(count, seed, 0)
    test_images, test_labels = draw_images(TEST_COUNT, seed, 1)
    calibration_images, _ = draw_images(CALIBRATION_COUNT, seed, 2)
    everything = np.concatenate([images, test_images, calibration_images])
    if len({image.tobytes() for image in everything}) != len(everything):
        sys.exit("error: the image sets are not disjoint")
    print("drew %d images in %.0f s, pixel mean %.3f, deviation %.3f" % (
        len(everything), time.time() - started, images.mean() / 255,
        images.std() / 255), flush=True)
    started = time.time()
    network = train(images, labels, epochs, seed)
    print("trained in %.0f s, test top-1 %.1f %%" % (
        time.time() - started,
        100 * np.mean(predict(network, test_images) == test_labels)))
    arrays = {os.path.join("network", name): value.numpy()
              for name, value in weights_of(network).items()}
    arrays.update({"test_images.npy": test_images,
                   "test_labels.npy": test_labels,
                   "calibration_images.npy": calibration_images})
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
        os.mkdir(os.path.join(scratch, "network"))
        for name, array in arrays.items():
            np.save(os.path.join(scratch, name), np.ascontiguousarray(array))
        for name in arrays:
            os.replace(os.path.join(scratch, name), os.path.join(folder, name))


def run_evaluation(folder, replacements):
    images, labels = load_test()
    original = predict(load_network(os.path.join(HERE, "network")), images)
    guess = predict(load_network(folder, replacements), images)
    print("top-1 %.1f %%, agreement with the original network %.1f %%" % (
        100 * np.mean(guess == labels), 100 * np.mean(guess == original)))


def run_sensitivity():
    """Print top-1 with one layer rounded to 2 bits, or with noise added."""
    images, labels = load_test()
    print("layer  2 bits  noise 0.5: mean, least, most  noise 1.0: the same")
    for name in ["conv%d" % number for number in range(1, len(LAYERS) + 1)]:
        network = load_network(os.path.join(HERE, "network"))
        target = weights_of(network)[name + ".weight.npy"]
        weight = target.numpy().copy()

        def top1(wrong):
            target.copy_(torch.from_numpy(wrong))
            return 100 * np.mean(predict(network, images) == labels)

        step = abs(weight).max()
        line = "%s  %6.1f" % (name, top1(step * np.rint(weight / step)))
        for size in (0.5, 1.0):
            noisy = []
            for seed in range(10):
                noise = np.random.default_rng(seed).normal(size=weight.shape)
                noise *= size * np.linalg.norm(weight) / np.linalg.norm(noise)
                noisy.append(top1(weight + noise))
            line += "  %15.1f %5.1f %5.1f" % (
                np.mean(noisy), min(noisy), max(noisy))
        print(line)


def main():
    parser = argparse.ArgumentParser(
        description="Draw ten classes of shapes and train a small network.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--evaluate", metavar="FOLDER", nargs="?",
                      const=os.path.join(HERE, "network"),
                      help="test the network in FOLDER, do not train")
    mode.add_argument("--sensitivity", action="store_true",
                      help="test with one layer spoilt at a time")
    mode.add_argument("--output", metavar="FOLDER", default=HERE,
                      help="where training writes, default this folder")
    parser.add_argument("--replace", metavar="NAME.npy=FILE", action="append",
                        help="with --evaluate: take one array from FILE")
    for name, default, least in NUMBERS:
        parser.add_argument("--" + name, type=int, default=default,
                            help="at least %d, default %d" % (least, default))
    arguments = parser.parse_args()
    for name, default, least in NUMBERS:
        if getattr(arguments, name) < least:
            parser.error("--%s must be at least %d" % (name, least))
        if ((arguments.evaluate is not None or arguments.sensitivity)
                and name != "threads" and getattr(arguments, name) != default):
            parser.error("--%s is for training only" % name)
    if arguments.replace and arguments.evaluate is None:
        parser.error("--replace needs --evaluate")
    torch.set_num_threads(arguments.threads)
    if arguments.evaluate is not None:
        run_evaluation(arguments.evaluate, arguments.replace or ())
    elif arguments.sensitivity:
        run_sensitivity()
    else:
        run_training(arguments.output, arguments.images, arguments.epochs,
                     arguments.seed)


if __name__ == "__main__":
    main()
