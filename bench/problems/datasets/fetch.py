"""Downloads from the official addresses, with pinned hashes, only when asked to.

The MD5 sums are those that the official torchvision loader (MNIST) and the data set's own README
(Fashion-MNIST) publish beside the files; for exchange_rate, which publishes none, it is that of the
file. A downloaded file is hashed, then parsed; never unpickled. What has no known hash is not
downloaded: the user is told what to put where.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import DataError
from bench.problems.datasets.dataset import resolve_name
from bench.problems.datasets.loaders import cifar, mnist, ptb, series, tiny_imagenet
from bench.problems.datasets.locations import FileSet, Place, shown, user_cache

_TIMEOUT_S = 30.0
_CHUNK_BYTES = 65536
# Twice the largest official file; a server that sends more is not the official one.
_MAX_BYTES = 2**26

FILE_SETS: dict[str, FileSet[Any]] = {
    **cifar.FILE_SETS,
    **mnist.FILE_SETS,
    **ptb.FILE_SETS,
    **series.FILE_SETS,
    **tiny_imagenet.FILE_SETS,
}


@dataclass(frozen=True)
class Remote:
    """An address ending in ``/``, and the MD5 of every file under it."""

    address: str
    md5: dict[str, str]


REMOTES = {
    "mnist": Remote(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": Remote(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "exchange_rate": Remote(
        "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/master/"
        "exchange_rate/",
        {"exchange_rate.txt.gz": "9dd5a9c8f8f324e234938400f232fa08"},
    ),
}


def fetch(name: str, data_dir: Path | None = None) -> list[Path]:
    """Download every file of a data set that is not there yet with the right hash.

    Args:
        name: a data set with an address and known hashes, a key of ``REMOTES``, or one made from
            the same files.
        data_dir: root under which the data set's folder is made; the user's cache if None.

    Returns:
        The files, in the order of ``REMOTES``.

    Raises:
        DataError: nothing to fetch under that name, no connection, a wrong hash, a folder that
            cannot be written; no partial file is left behind.
    """
    name = resolve_name(name)
    source = FILE_SETS[name].folder if name in FILE_SETS else name
    place = user_cache() if data_dir is None else Place("--data-dir", data_dir)
    folder = place.folder(source)
    if source not in REMOTES:
        why = "needs no download"
        if name in FILE_SETS:
            where = f" into {shown(folder)}" if folder else ""
            why = f"has no known hash, so do it yourself{where}: {FILE_SETS[name].advice}"
        raise DataError(
            f"expected a data set that can be fetched, one of {', '.join(sorted(REMOTES))}; "
            f"got {name!r}, which {why}"
        )
    if folder is None:
        raise DataError(f"expected a folder to download to; {place.note}: give --data-dir")
    remote = REMOTES[source]
    return [_fetch_file(remote.address + file, md5, folder) for file, md5 in remote.md5.items()]


def _fetch_file(url: str, md5: str, folder: Path) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise DataError(
            f"expected pooch, which downloads; {error}: pip install pooch, or put {url} into "
            f"{shown(folder)} yourself"
        ) from error
    file = url.rpartition("/")[2]
    try:
        return Path(pooch.retrieve(url, f"md5:{md5}", file, folder, downloader=_download))
    except ValueError as error:
        raise DataError(
            f"expected {url} with MD5 {md5}; {error}: try again later, or put the right file "
            f"into {shown(folder)} yourself"
        ) from error
    except OSError as error:  # requests' errors are OSErrors too
        raise DataError(
            f"expected to download {url} into {shown(folder)}; {error}: check the network and "
            "the folder, or put the file there yourself"
        ) from error


def _download(url: str, output: str, _pooch: object) -> None:
    """Write what is at ``url`` to the file ``output``; pooch calls this, hashes and renames.

    Its own downloader leaves the connection open after an error, and has no size limit.
    """
    import requests  # a dependency of pooch

    written = 0
    with (
        requests.get(url, stream=True, timeout=_TIMEOUT_S) as response,
        Path(output).open("wb") as file,
    ):
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK_BYTES):
            written += file.write(chunk)
            if written > _MAX_BYTES:
                raise DataError(
                    f"expected at most {_MAX_BYTES} bytes from {url}; the server sends more: "
                    "this is not the official file"
                )
