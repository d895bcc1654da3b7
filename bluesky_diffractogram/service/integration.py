"""Reducing files: the chain from frames to what is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config import ConfigError, DiffractogramConfig
from .derived_files import DerivedFiles, no_windows
from .frame_files import STREAM, FrameFile, RawRun


def for_files(config: DiffractogramConfig) -> DiffractogramConfig:
    """A configuration as it is for frames out of files, which lie under no data key and in no stream.

    Raises
    ------
    ConfigError
        It wants readings, darks or further images, which only the documents of a run have.
    """
    if config.merge:
        keys = [each.image_key for each in config.merge]
        raise ConfigError("merge", keys, "[] here", "a file holds the frames of one detector")
    dark = config.dark_of_run
    if dark is not None and not dark.optional:
        allowed = 'here an image file or null; or "optional": true'
        raise ConfigError("dark", dark.model_dump(exclude_defaults=True), allowed, "files hold no darks of a run")
    for key in ("geometry", "normalization"):
        wanted = getattr(config, key)
        if wanted is not None:
            told = wanted if isinstance(wanted, str) else wanted.model_dump(exclude_defaults=True, exclude_none=True)
            raise ConfigError(key, told, "null here", "files hold no readings")
    return config.model_copy(update={"image_key": None, "stream": STREAM})


class Integration:
    """Reduces frames from files and writes what comes out into a folder.

    Parameters
    ----------
    config
        The configuration.
    folder, log
        As `DerivedFiles` takes them.

    Attributes
    ----------
    files
        What is written.

    Raises
    ------
    ConfigError
        The configuration does not go with its calibration, or wants what only a run tells.
    OSError
        As `DerivedFiles`.
    """

    def __init__(self, config: DiffractogramConfig, folder: Path, *, log: bool = False) -> None:
        config = for_files(config)
        no_windows()
        from ..live import DiffractogramCallback

        self._callback = DiffractogramCallback(config, background=False, plot=False)
        self.files = DerivedFiles(folder, log=log, shared=True)
        self._derived: list[tuple[str, dict[str, Any]]] = []
        self._callback.subscribe(lambda name, doc: self._derived.append((name, doc)))

    def reduce(self, paths: Sequence[str], failed: Callable[[str, Exception], None]) -> Iterator[tuple[int, int]]:
        """Reduce all frames of `paths` as one run.

        Parameters
        ----------
        paths
            Files; a file that cannot be read, or whose reading ends with an error, is passed over from there.
        failed
            Called with the path and the error of such a file.

        Yields
        ------
        done, known
            After every frame and every bad file: how many frames are done, and how many there are as far as
            known, files not yet opened counting one.

        Raises
        ------
        OSError
            What comes out cannot be written.
        """
        try:
            for progress in self._reduce(paths, failed):
                # Outside of the callback, to which a full disk would be the fault of one of its subscribers.
                self._write()
                yield progress
            self._write()
            self.files.finish()
        finally:
            self.files.close()

    def _reduce(self, paths: Sequence[str], failed: Callable[[str, Exception], None]) -> Iterator[tuple[int, int]]:
        run = RawRun(self._callback, {"plan_name": "integrate", "files": [os.path.abspath(path) for path in paths]})
        run.start()
        done, known = 0, len(paths)
        for path in paths:
            left = 1
            try:
                with FrameFile(path) as file:
                    if not len(file):
                        raise ValueError("there is no frame in it")
                    left = len(file)
                    known += left - 1
                    for imagename, image in file:
                        run.frame(imagename, image, file.timestamp)
                        done, left = done + 1, left - 1
                        yield done, known
            except Exception as error:  # fabio raises whatever its readers raise
                failed(path, error)
                known -= left
                yield done, known
        run.stop()
        self._callback.close()

    def _write(self) -> None:
        while self._derived:
            self.files(*self._derived.pop(0))
