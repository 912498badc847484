#!/usr/bin/python3
"""Trains the three networks of the zoo on Fashion-MNIST and exports them to ONNX.

    models/zoo/train.py [plain_cnn|resnet8|shufflenetv2 ...] [--threads N]

Needs Debian's python3-torch, python3-onnx, python3-numpy and dataset-fashion-mnist; nothing else
in the project needs them. Seeds are fixed and PyTorch is told to be deterministic, so the same
machine type and thread count give the same file. Batch normalization is exported as it is: folding
it is the importer's work. Input: float32 [N, 1, 28, 28] = pixel / 255; output: logits [N, 10].
"""
import argparse
import gzip
import json
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260101
BATCH = 128
PEAK_LEARNING_RATE = 0.2
WEIGHT_DECAY = 5e-4


def read_idx(path):
    """IDX file (.gz) of unsigned bytes -> array; http://yann.lecun.com/exdb/mnist/ has the format."""
    with gzip.open(path, "rb") as stream:
        data = stream.read()
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder, name):
    images = read_idx(folder / f"{name}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz")
    return torch.from_numpy(images.astype(np.float32) / 255.0)[:, None], torch.from_numpy(labels.astype(np.int64))


def conv_bn(ifmap_channels, ofmap_channels, size, stride=1, groups=1, relu=True):
    layers = [
        nn.Conv2d(ifmap_channels, ofmap_channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(ofmap_channels),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class PlainCnn(nn.Module):
    """Three 3x3 convolutions, two max-pools, two fully connected layers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(1, 16, 3), nn.MaxPool2d(2),
            conv_bn(16, 32, 3), nn.MaxPool2d(2),
            conv_bn(32, 32, 3), nn.Flatten(),
            nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return self.body(x)


class Residual(nn.Module):
    def __init__(self, ifmap_channels, ofmap_channels, stride):
        super().__init__()
        self.conv1 = conv_bn(ifmap_channels, ofmap_channels, 3, stride)
        self.conv2 = conv_bn(ofmap_channels, ofmap_channels, 3, relu=False)
        same = stride == 1 and ifmap_channels == ofmap_channels
        self.shortcut = nn.Identity() if same else conv_bn(ifmap_channels, ofmap_channels, 1, stride, relu=False)

    def forward(self, x):
        return F.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


class ResNet8(nn.Module):
    """Three residual blocks of 16, 32, 64 channels, as MLPerf Tiny's image classifier."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 16, 3)
        self.blocks = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


def shuffle(x):
    """Channel shuffle over two groups; shapes are constants, the batch is the open dimension."""
    channels, rows, cols = (int(d) for d in x.shape[1:])
    return x.reshape(-1, 2, channels // 2, rows, cols).transpose(1, 2).reshape(-1, channels, rows, cols)


class ShuffleUnit(nn.Module):
    """ShuffleNetV2 unit (Ma et al., ECCV 2018, figure 3 c and d)."""

    def __init__(self, ifmap_channels, ofmap_channels, stride):
        super().__init__()
        half = ofmap_channels // 2
        self.stride = stride
        branch = half if stride == 1 else ifmap_channels
        self.right = nn.Sequential(
            conv_bn(branch, half, 1),
            conv_bn(half, half, 3, stride, groups=half, relu=False),
            conv_bn(half, half, 1))
        if stride == 2:
            self.left = nn.Sequential(
                conv_bn(ifmap_channels, ifmap_channels, 3, 2, groups=ifmap_channels, relu=False),
                conv_bn(ifmap_channels, half, 1))

    def forward(self, x):
        if self.stride == 1:
            left, right = torch.split(x, x.shape[1] // 2, dim=1)
        else:
            left, right = self.left(x), x
        return shuffle(torch.cat([left, self.right(right)], 1))


class ShuffleNetV2(nn.Module):
    """Stem, two stages of shuffle units (48 and 96 channels), a 1x1 convolution, a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 24, 3)
        self.stages = nn.Sequential(
            ShuffleUnit(24, 48, 2), ShuffleUnit(48, 48, 1), ShuffleUnit(48, 48, 1),
            ShuffleUnit(48, 96, 2), ShuffleUnit(96, 96, 1), ShuffleUnit(96, 96, 1), ShuffleUnit(96, 96, 1))
        self.head = conv_bn(96, 128, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(128, 10)

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.head(self.stages(self.stem(x)))), 1))


NETWORKS = {"plain_cnn": (PlainCnn, 8), "resnet8": (ResNet8, 10), "shufflenetv2": (ShuffleNetV2, 15)}


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        correct = sum(int((model(images[i:i + 500]).argmax(1) == labels[i:i + 500]).sum())
                      for i in range(0, len(images), 500))
    return 100.0 * correct / len(images)


def train(name, folder):
    make, epochs = NETWORKS[name]
    torch.manual_seed(SEED)
    images, labels = load(folder, "train")
    test_images, test_labels = load(folder, "t10k")
    model = make()
    steps = (len(images) + BATCH - 1) // BATCH * epochs
    optimizer = torch.optim.SGD(model.parameters(), PEAK_LEARNING_RATE, momentum=0.9,
                                weight_decay=WEIGHT_DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, steps, pct_start=0.25)
    for epoch in range(epochs):
        model.train()
        started, total = time.time(), 0.0
        for index in torch.randperm(len(images)).split(BATCH):
            batch = images[index]
            flip = torch.rand(len(index)) < 0.5
            batch[flip] = batch[flip].flip(3)
            loss = F.cross_entropy(model(batch), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss) * len(index)
        print(f"{name} epoch {epoch + 1}/{epochs} loss {total / len(images):.4f} "
              f"test {accuracy(model, test_images, test_labels):.2f} % {time.time() - started:.0f} s", flush=True)
    export(name, model)
    print(json.dumps({"network": name, "epochs": epochs, "seed": SEED,
                      "float_top1_percent": accuracy(model, test_images, test_labels),
                      "parameters": sum(p.numel() for p in model.parameters())}))


def export(name, model):
    model.eval()
    torch.onnx.export(model, torch.zeros(1, 1, 28, 28), str(HERE / f"{name}.onnx"), opset_version=13,
                      input_names=["ifmap"], output_names=["logits"], do_constant_folding=True,
                      training=torch.onnx.TrainingMode.PRESERVE,  # keeps BatchNormalization as nodes
                      dynamic_axes={"ifmap": {0: "N"}, "logits": {0: "N"}})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=", ".join(NETWORKS))
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--threads", type=int, default=1, help="part of what makes a run repeatable")
    args = parser.parse_args()
    unknown = set(args.networks) - set(NETWORKS)
    if unknown:
        parser.error(f"unknown network {', '.join(sorted(unknown))}; known: {', '.join(NETWORKS)}")
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    for name in args.networks:
        train(name, args.data)


if __name__ == "__main__":
    main()
