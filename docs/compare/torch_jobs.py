"""The fourteen jobs in PyTorch, each as short as it is usually written.

    make_data.py FOLDER
    torch_jobs.py FOLDER [JOB...]

The lines between `# job N` and `# end` are those that the job needs; `count.py` counts them. What
follows them checks the result. `requirements.txt` has the versions with which it ran, on Linux with
Python 3.11.
"""

import os
import sys
import warnings
from glob import glob

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)
from torchdata.stateful_dataloader import StatefulDataLoader
from torchvision.transforms import v2

# torchdata calls a function that this version of torch is about to remove.
warnings.filterwarnings("ignore", "'set_vital' is deprecated")
# Of each channel of CIFAR-10.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def check_images(batch, shape):
    """u8 images divided by 255, with the labels of `make_data.py`."""
    images, labels = batch
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.shape == shape
    pixels = (images[:, 0, 0] * 255).round().long()
    assert (pixels % 10 == labels).all()


def job_1():
    """Files for training and validation. All images are in memory as f32."""

    # job 1
    def dataset(part):
        images = torch.from_numpy(np.load(f"{part}_images.npy")).float() / 255
        labels = torch.from_numpy(np.load(f"{part}_labels.npy")).long()
        return TensorDataset(images, labels)

    train = DataLoader(dataset("train"), batch_size=64, shuffle=True, num_workers=2)
    valid = DataLoader(dataset("valid"), batch_size=64, num_workers=2)
    # end
    for _ in range(2):
        batches = list(train)
        assert len(batches) == 10
        check_images(batches[0], (64, 28, 28))
        assert not torch.equal(batches[0][1], torch.arange(64) % 10), "not shuffled"
    batches = list(valid)
    assert [len(labels) for _, labels in batches] == [64, 36]
    check_images(batches[1], (36, 28, 28))
    assert torch.equal(batches[0][1], torch.arange(64) % 10)


def job_2():
    """Two arrays of an archive."""
    # job 2
    with np.load("mnist.npz") as npz:
        images = torch.from_numpy(npz["x_train"]).float() / 255
        labels = torch.from_numpy(npz["y_train"]).long()
    loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)
    # end
    batches = list(loader)
    assert len(batches) == 10
    check_images(batches[0], (64, 28, 28))


def job_3():
    """CIFAR: channels first, normalised per channel, labels without their second axis."""
    # job 3
    images = torch.from_numpy(np.load("cifar_train_images.npy")).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.load("cifar_train_labels.npy")).long().squeeze(1)
    normalize = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    dataset = TensorDataset(normalize(images), labels)
    loader = DataLoader(dataset, batch_size=64, shuffle=True)
    # end
    images, labels = next(iter(loader))
    assert (images.shape, labels.shape) == ((64, 3, 32, 32), (64,))
    pixels = (images[:, :, 16, 16] * torch.tensor(STD) + torch.tensor(MEAN)) * 255
    rows = pixels[:, 0] / 3
    assert torch.allclose(pixels[:, 2], rows * 3 + 2, atol=1e-3)
    assert torch.equal(rows.round().long() % 10, labels)


# job 4
class Images(Dataset):
    def __init__(self, part, transform):
        self.images = torch.from_numpy(np.load(f"cifar_{part}_images.npy")).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(np.load(f"cifar_{part}_labels.npy")).long().squeeze(1)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.transform(self.images[row]), self.labels[row]


# end


def job_4():
    """A random crop and flip, in training only."""
    # job 4
    scale = v2.ToDtype(torch.float32, scale=True)
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), scale])
    train = DataLoader(Images("train", augment), batch_size=64, shuffle=True, num_workers=2)
    valid = DataLoader(Images("valid", scale), batch_size=64, num_workers=2)
    # end
    images = torch.cat([images for images, _ in train])
    assert images.shape == (600, 3, 32, 32)
    # The column of 255 is at the left, somewhere at the left or right after a shift, or cut off.
    bright = (images[:, 0, 16] == 1).nonzero()[:, 1].unique().tolist()
    assert bright == [0, 1, 2, 3, 4, 27, 28, 29, 30, 31], bright
    images, labels = next(iter(valid))
    assert (images[:, :, :, 0] == 1).all()
    assert torch.equal((images[:, 0, 16, 16] * 85).round().long() % 10, labels)


def job_5():
    """A table whose last column is the label."""
    # job 5
    table = torch.from_numpy(np.load("table.npy"))
    dataset = TensorDataset(table[:, :-1].float(), table[:, -1].long())
    loader = DataLoader(dataset, batch_size=64, shuffle=True)
    # end
    features, labels = next(iter(loader))
    assert (features.shape, features.dtype) == ((64, 9), torch.float32)
    assert torch.equal(features[:, 0].long() % 3, labels)


def job_6():
    """Windows of 24 steps, and the 6 steps that follow. Nothing is copied until a batch is."""
    # job 6
    windows = torch.from_numpy(np.load("series.npy")).unfold(0, 30, 1).transpose(1, 2)
    dataset = TensorDataset(windows[:, :24], windows[:, 24:])
    loader = DataLoader(dataset, batch_size=64, shuffle=True)
    # end
    assert len(dataset) == 971
    past, future = next(iter(loader))
    assert (past.shape, future.shape) == ((64, 24, 4), (64, 6, 4))
    assert torch.equal(past[:, 0, 0] + 24, future[:, 0, 0])
    assert torch.equal(past[:, 0] + 29, future[:, 5])


def job_7():
    """Windows of 128 tokens out of a mapped file, and the same moved on by one."""

    # job 7
    def collate(windows):
        windows = torch.stack(windows).long()
        return windows[:, :-1], windows[:, 1:]

    windows = torch.from_numpy(np.load("tokens.npy", mmap_mode="c")).unfold(0, 129, 128)
    loader = DataLoader(windows, batch_size=8, shuffle=True, collate_fn=collate)
    # end
    assert len(windows) == 78
    x, y = next(iter(loader))
    assert (x.shape, x.dtype) == ((8, 128), torch.int64)
    assert torch.equal(x + 1, y)
    assert (x[:, 0] % 128 == 0).all()


def job_8():
    """Texts of several lengths, padded with 0, with a mask."""

    # job 8
    def collate(texts):
        lengths = torch.tensor([len(text) for text in texts])
        padded = pad_sequence(texts, batch_first=True)
        return padded, torch.arange(padded.shape[1]) < lengths[:, None]

    lengths = np.load("texts_lengths.npy").tolist()
    texts = torch.from_numpy(np.load("texts_tokens.npy")).split(lengths)
    loader = DataLoader(texts, batch_size=16, shuffle=True, collate_fn=collate)
    # end
    batches = list(loader)
    assert len(batches) == 13
    for padded, mask in batches:
        assert padded.shape == mask.shape
        assert torch.equal(padded != 0, mask)
    assert sum(mask.sum() for _, mask in batches) == sum(lengths)


def job_9():
    """A hundred shards as one dataset. The files are mapped."""

    # job 9
    def mapped(pattern):
        return [torch.from_numpy(np.load(path, mmap_mode="c")) for path in sorted(glob(pattern))]

    shards = zip(mapped("shards/images-*.npy"), mapped("shards/labels-*.npy"))
    dataset = ConcatDataset([TensorDataset(*shard) for shard in shards])
    loader = DataLoader(dataset, batch_size=64, shuffle=True, num_workers=2)
    # end
    batches = list(loader)
    images, labels = map(torch.cat, zip(*batches))
    assert (images.shape, images.dtype) == ((2000, 28, 28), torch.uint8)
    assert torch.equal(labels.sort().values, torch.arange(2000))
    assert torch.equal(images[:, 5, 5].long(), labels % 250)


def job_10():
    """Rare classes: each class is drawn as often as the other."""
    # job 10
    features = torch.from_numpy(np.load("rare_features.npy"))
    labels = torch.from_numpy(np.load("rare_labels.npy"))
    sampler = WeightedRandomSampler(1 / labels.bincount()[labels], len(labels))
    loader = DataLoader(TensorDataset(features, labels), batch_size=64, sampler=sampler)
    # end
    features, labels = map(torch.cat, zip(*loader))
    assert len(labels) == 1000
    assert torch.equal((features[:, 0] % 20 == 0).long(), labels)
    assert 400 < labels.sum() < 600


def job_11():
    """A loop that is killed continues with the next batch, as if nothing had happened.

    With a `generator` of one's own and no workers, the epoch after the resumed one had another
    order.
    """

    # job 11
    def open_loader():
        dataset = TensorDataset(torch.from_numpy(np.load("table.npy")))
        return StatefulDataLoader(dataset, batch_size=64, shuffle=True)

    # end
    loader = open_loader()
    batches = iter(loader)
    taken = [next(batches)[0] for _ in range(5)]
    # job 11
    torch.save(loader.state_dict(), "resume.pt")
    # end
    expected = [batch[0] for batch in batches] + [batch[0] for batch in loader]
    torch.manual_seed(7)
    # job 11
    loader = open_loader()
    loader.load_state_dict(torch.load("resume.pt"))
    # end
    rest = [batch[0] for _ in range(2) for batch in loader]
    assert len(rest) == len(expected) == 11 + 16
    assert all(map(torch.equal, rest, expected))
    rows = torch.cat(taken + rest[:11])[:, 0]
    assert torch.equal(rows.sort().values, torch.arange(1000).double())
    assert not torch.equal(taken[0], rest[11])


def job_12():
    """The rows of one file whose label is below 5, with all rows of another behind them."""

    # job 12
    def dataset(part):
        images = torch.from_numpy(np.load(f"{part}_images.npy")).float() / 255
        labels = torch.from_numpy(np.load(f"{part}_labels.npy")).long()
        return TensorDataset(images, labels)

    train = dataset("train")
    kept = Subset(train, (train.tensors[1] < 5).nonzero().flatten())
    both = ConcatDataset([kept, dataset("valid")])
    loader = DataLoader(both, batch_size=64, shuffle=True)
    # end
    batches = list(loader)
    check_images(batches[0], (64, 28, 28))
    labels = torch.cat([labels for _, labels in batches])
    assert labels.bincount().tolist() == [70] * 5 + [10] * 5


def fit(train):
    """A linear model of three classes after ten epochs."""
    torch.manual_seed(42)
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        for features, labels in train:
            loss = torch.nn.functional.cross_entropy(model(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def accuracy(model, valid):
    with torch.inference_mode():
        right = [model(features).argmax(1) == labels for features, labels in valid]
    return torch.cat(right).float().mean().item()


def job_13():
    """Five folds with as many of each class, and a model for each."""
    # job 13
    features = torch.from_numpy(np.load("folds_features.npy"))
    labels = torch.from_numpy(np.load("folds_labels.npy"))
    dataset, scores = TensorDataset(features, labels), []
    folds = StratifiedKFold(5, shuffle=True, random_state=42).split(features, labels)
    for train_rows, valid_rows in folds:
        train = DataLoader(Subset(dataset, train_rows), batch_size=32, shuffle=True)
        valid = DataLoader(Subset(dataset, valid_rows), batch_size=32)
        model = fit(train)
        scores.append(accuracy(model, valid))
    # end
    assert len(scores) == 5
    assert (len(train.dataset), len(valid.dataset)) == (240, 60)
    assert labels[valid_rows].bincount().tolist() == [20, 20, 20]
    assert min(scores) > 0.9, scores


def job_14():
    """Predictions in the order of the rows, written as a .npy file."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(28 * 28, 10))
    # job 14
    images = torch.from_numpy(np.load("valid_images.npy")).float() / 255
    with torch.inference_mode():
        predictions = [model(batch) for batch in DataLoader(images, batch_size=64)]
    np.save("predictions.npy", torch.cat(predictions).numpy())
    # end
    written = np.load("predictions.npy")
    assert (written.shape, written.dtype) == ((100, 10), np.float32)
    row = torch.full((1, 28, 28), 77 / 255)
    assert np.allclose(written[77], model(row).detach().numpy(), atol=1e-5)
    assert not np.allclose(written[77], written[76], atol=1e-5)


def main(folder, *chosen):
    os.chdir(folder)
    torch.manual_seed(42)
    for number in chosen or range(1, 15):
        globals()[f"job_{number}"]()
        print(f"job {number}: ok", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
