"""Data sets known by name: one reader for each format. Nothing is downloaded.

| name | files | class numbers |
|---|---|---|
| cifar10 | the official binary or python version, as folder or .tar.gz | official |
| cifar100 | the same; the 100 fine classes | official |
| tinyimagenet | the folder tiny-imagenet-200; its validation part is the test split | alphabetical by WordNet id |
| mnist, fashion-mnist | the official IDX files, .gz or unpacked | official |
| digits, and the test split of fashion-mnist | come with the package | official |

Files outside the package are looked for in the data folder that the caller names, or in $SNN_ENERGY_DATA/<name> and
$SNN_ENERGY_DATA itself. Every file with a published checksum is compared with it.
"""

from __future__ import annotations

from snn_energy.training.datasets.registry import dataset_names, load_named

__all__ = ["dataset_names", "load_named"]
