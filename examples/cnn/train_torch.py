"""The network of train.py, trained in the same way by PyTorch; see compare.py."""

import argparse
import json
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

RATE, MOMENTUM = 0.02, 0.9


class CNN(nn.Module):
    def __init__(self, side, channels, classes, width=100):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5, padding=2)
        self.conv2 = nn.Conv2d(20, 50, 5, padding=2)
        self.conv3 = nn.Conv2d(50, width, 5, padding=2)
        self.linear1 = nn.Linear(width * (side // 8) ** 2, 500)
        self.linear2 = nn.Linear(500, 100)
        self.linear3 = nn.Linear(100, classes)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        x = x.flatten(1)
        x = self.dropout(F.relu(self.linear1(x)))
        x = self.dropout(F.relu(self.linear2(x)))
        return F.log_softmax(self.linear3(x), dim=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arrays", help="an .npz file of the images, which compare.py writes")
    parser.add_argument("--classes", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    data = np.load(args.arrays)
    x, tx = (
        torch.from_numpy(data[k]).permute(0, 3, 1, 2).contiguous().float() / 255
        for k in ("x", "tx")
    )
    y, ty = (torch.from_numpy(data[k]).long() for k in ("y", "ty"))
    model = CNN(x.shape[2], x.shape[1], args.classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    history = []
    for _ in range(args.epochs):
        model.train()
        results = []
        begin = time.perf_counter()
        order = torch.randperm(len(y))
        for chosen in order.split(args.batch):
            p = model(x[chosen])
            loss = F.nll_loss(p, y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            results.append((loss.item(), (p.argmax(1) == y[chosen]).float().mean().item()))
        seconds = time.perf_counter() - begin
        model.eval()
        with torch.inference_mode():
            right = sum(
                int((model(tx[i : i + 512]).argmax(1) == ty[i : i + 512]).sum())
                for i in range(0, len(ty), 512)
            )
        history.append((*np.mean(results, axis=0).tolist(), right / len(ty), seconds))
    inference = []
    with torch.inference_mode():
        for size in (512, 1):
            model(tx[:size])
            begin = time.perf_counter()
            for i in range(0, len(tx), size):
                model(tx[i : i + size]).argmax(1)
            inference.append(time.perf_counter() - begin)
    kept = {"name": f"PyTorch {torch.__version__.split('+')[0]}", "history": history}
    with open(args.json, "w") as file:
        json.dump({**kept, "inference": inference, "images": len(ty)}, file)


if __name__ == "__main__":
    main()
