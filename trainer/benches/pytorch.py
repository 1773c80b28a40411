"""The training step of `heartlens-train bench` in PyTorch: the same network, batch and work.

Reads the task as JSON from stdin and prints one JSON object: version, parameters, beats_per_second. Data are ready tensors
on the device; a step is forward, cross entropy with smoothed labels, backward, gradient clipping, AdamW, one-cycle learning
rate and the moving average of weights and statistics, each by PyTorch's own fast path.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional


def conv(kind, channels_in, layer, stride):
    convolution = {1: nn.Conv1d, 2: nn.Conv2d}[kind]
    norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[kind]
    kernel, channels = layer["kernel"], layer["channels"]
    convolved = convolution(
        channels_in, channels, kernel, stride=stride, padding=kernel // 2, bias=False
    )
    return [convolved, norm(channels), nn.ReLU()]


class Waveform(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        layers = []
        for layer in config["conv"]:
            layers += conv(1, channels, layer, layer["stride"])
            channels = layer["channels"]
        self.conv = nn.Sequential(*layers)
        self.lstm = nn.LSTM(channels, config["bilstm"], bidirectional=True)

    def forward(self, x):
        _, (last, _) = self.lstm(self.conv(x).permute(2, 0, 1))
        return last.transpose(0, 1).flatten(1)


def dense(inputs, sizes):
    layers = []
    for size in sizes:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return layers


def branch(view, shape, config):
    if view == "waveform":
        return Waveform(shape[0], config["waveform"])
    if view == "metadata":
        return nn.Sequential(*dense(shape[0], config["metadata"]["dense"]))
    layers, channels = [], shape[0]
    for layer in config[view]["conv"]:
        if view == "spectrum":
            layers += conv(1, channels, layer, layer["stride"])
        else:
            layers += conv(2, channels, layer, 1) + [nn.MaxPool2d(layer["pool"])]
        channels = layer["channels"]
    layers.append(nn.Flatten())
    flat = nn.Sequential(*layers).eval()(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*layers, *dense(flat, config[view]["dense"])).train()


class Network(nn.Module):
    def __init__(self, config, shapes, classes):
        super().__init__()
        views = [(view, shape) for view, shape in shapes if view in config["views"]]
        self.views = [view for view, _ in views]
        self.branches = nn.ModuleList(branch(view, shape, config) for view, shape in views)
        with torch.no_grad():
            examples = [b.eval()(torch.zeros(1, *s)) for b, (_, s) in zip(self.branches, views)]
        features = sum(example.shape[1] for example in examples)
        self.train()
        fusion = []
        for size in config["fusion"]["dense"]:
            fusion += [nn.Dropout(config["fusion"]["dropout"]), nn.Linear(features, size), nn.ReLU()]
            features = size
        fusion += [nn.Dropout(config["fusion"]["dropout"]), nn.Linear(features, classes)]
        self.fusion = nn.Sequential(*fusion)

    def forward(self, batch):
        features = [branch(batch[view]) for view, branch in zip(self.views, self.branches)]
        return self.fusion(torch.cat(features, 1))


def main():
    task = json.load(sys.stdin)
    config, training = task["config"], task["config"]["training"]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(task["device"])
    network = Network(config, task["shapes"], task["classes"]).to(device)
    count = training["batch"]
    batch = {view: torch.rand(count, *shape, device=device) * 4 - 2 for view, shape in task["shapes"]}
    classes = torch.arange(count, device=device) % task["classes"]

    parameters = list(network.parameters())
    state = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    average = [tensor.clone() for tensor in state]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=training["learning_rate"],
        weight_decay=training["weight_decay"],
        fused=True,
    )
    steps = task["warm_up_steps"] + task["steps"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training["learning_rate"], total_steps=steps + 1, cycle_momentum=False
    )

    def step():
        logits = network(batch)
        loss = functional.cross_entropy(
            logits, classes, label_smoothing=training["label_smoothing"]
        )
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, training["clip_norm"], foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, state, 1 - training["average"])
        return loss.item()

    for _ in range(task["warm_up_steps"]):
        step()
    start = time.perf_counter()
    for _ in range(task["steps"]):
        step()
    seconds = time.perf_counter() - start
    figures = {
        "version": torch.__version__,
        "parameters": sum(p.numel() for p in parameters),
        "beats_per_second": task["steps"] * count / seconds,
    }
    print(json.dumps(figures))


main()
