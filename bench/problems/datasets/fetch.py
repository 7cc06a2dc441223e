"""Downloads from the official addresses, with pinned hashes, only when asked to.

A downloaded file is hashed, then parsed; never unpickled. What has no known hash is not downloaded:
the user is told what to put where.
"""

from pathlib import Path

from bench.errors import DataError
from bench.problems.datasets.locations import Place, shown, user_cache
from bench.problems.datasets.provider import FileProvider, Provider
from bench.problems.datasets.registry import file_providers, provider_of, resolve_name

_TIMEOUT_S = 30.0
_CHUNK_BYTES = 65536
# Twice the largest official file; a server that sends more is not the official one.
_MAX_BYTES = 2**26


def fetch(name: str, data_dir: Path | None = None) -> list[Path]:
    """Download every file of a data set that is not there yet with the right hash.

    Its folder is made under ``data_dir``, or in the user's cache if None. The files come in the
    order of the provider's ``remote``.

    Raises:
        DataError: nothing to fetch under that name, no connection, a wrong hash, a folder that
            cannot be written; no partial file is left behind.
    """
    name = resolve_name(name)
    provider = provider_of(name)
    place = user_cache() if data_dir is None else Place("--data-dir", data_dir)
    if not isinstance(provider, FileProvider) or provider.remote is None:
        raise DataError(
            f"expected a data set that can be fetched, one of {', '.join(_fetchable())}; "
            f"got {name!r}, which {_why_not(provider, place)}"
        )
    folder, remote = place.folder(provider.files.folder), provider.remote
    if folder is None:
        raise DataError(f"expected a folder to download to; {place.note}: give --data-dir")
    return [_fetch_file(remote.address + file, md5, folder) for file, md5 in remote.md5.items()]


def _why_not(provider: Provider, place: Place) -> str:
    if not isinstance(provider, FileProvider):
        return "needs no download"
    folder = place.folder(provider.files.folder)
    where = f" into {shown(folder)}" if folder else ""
    return f"has no known hash, so do it yourself{where}: {provider.files.advice}"


def _fetchable() -> list[str]:
    """Data sets with an address, each set of files once."""
    return [
        name
        for name, provider in file_providers().items()
        if provider.remote and provider.files.folder == name
    ]


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
    """Write what is at ``url`` to the file ``output``; pooch calls this, hashes and renames."""
    # Its own downloader leaves the connection open after an error, and has no size limit.
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
