"""Content that shows any damage: no lost, swapped or doubled piece of it goes unnoticed."""

import hashlib
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30


def random_file(folder, size):
    """A file `content` of random octets, a whole number of MiB; its path and SHA-256."""
    path = Path(folder) / "content"
    digest = hashlib.sha256()
    with open("/dev/urandom", "rb") as source, open(path, "wb") as file:
        for _ in range(size // MIB):
            block = source.read(MIB)
            digest.update(block)
            file.write(block)
    return path, digest.hexdigest()


def digest_of_file(path):
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
