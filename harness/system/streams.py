"""Standard output and error that outlive their readers.

Writing to either never raises: not when the reader or the terminal is gone,
the stream was closed, its disk is full or a character has no place in its
encoding. What goes through them has no secret in it. What became of the
answer is known at the end, see `exit_code_of_answer`.
"""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from harness.system.secrets import redacted

WAIT_S = 10.0
"""How long a reader that is slower than a stream without waiting may take."""

UNREAD = 141
"""Exit code of a command that a broken pipe ended, as the shell counts it: 128 and SIGPIPE."""
UNWRITTEN = 2
ANSWERS = (1, 3)
"""Exit codes that mean what was printed: not reproduced, a difference, inconclusive."""
READER_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO, errno.ECONNRESET, errno.ESHUTDOWN})


SHOWN: list[int] = []
"""Descriptors of standard error itself while something withholds what is written to it."""


class ShownError(io.TextIOBase):
    """Standard error for words that are shown at once, also while other output is withheld.

    It keeps the stream of its own beginning: a live display that is drawn through it puts itself
    in the place of `sys.stderr`, and would be written to again for whatever it draws.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        """Write text."""
        if SHOWN:
            with contextlib.suppress(OSError):
                os.write(SHOWN[-1], redacted(text).encode(errors="backslashreplace"))
        else:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what is buffered."""
        if not SHOWN:
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether standard error is a terminal."""
        return self._stream.isatty()


class LastingFile(io.RawIOBase):
    """A file descriptor that takes everything, and remembers the first error.

    Args:
        descriptor: To write to; None where the stream was closed from the start.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None

    name = "<lasting>"

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor.

        Raises:
            OSError: there is none.
        """
        if self._descriptor is None:
            raise io.UnsupportedOperation("fileno")
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal that is still there."""
        return self._descriptor is not None and self.error is None and os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        """Write all of it, or as much as is taken; returns its length either way."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self._descriptor is not None and self.error is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError as error:
                if not select.select((), (self._descriptor,), (), WAIT_S)[1]:
                    self.error = error
            except OSError as error:
                self.error = error
        return size


class LastingText(io.TextIOWrapper):
    """Text over a `LastingFile`: every character gets through, no secret does."""

    def __init__(self, descriptor: int | None, encoding: str, *, line_buffering: bool) -> None:
        self.file = LastingFile(descriptor)
        super().__init__(
            io.BufferedWriter(self.file),
            encoding=encoding,
            errors="backslashreplace",
            newline="\n",
            line_buffering=line_buffering,
        )

    def write(self, text: str) -> int:
        """Write text; also after the stream was closed."""
        with contextlib.suppress(ValueError):  # closed by a library
            super().write(redacted(text))
        return len(text)

    def flush(self) -> None:
        """Hand over what is buffered."""
        with contextlib.suppress(ValueError):
            super().flush()


@contextmanager
def outliving_readers() -> Iterator[None]:
    """Replace standard output and error of this process until the end."""
    occupy_standard_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def occupy_standard_descriptors() -> None:
    """Open what was closed at the start: a journal must not get the number of standard error."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:
        return LastingText(None, "utf-8", line_buffering=True)
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError):  # a stream of a program that calls this one
        return stream
    lines = stream is sys.stderr or os.isatty(descriptor)
    return LastingText(descriptor, stream.encoding or "utf-8", line_buffering=lines)


def exit_code_of_answer(code: int) -> tuple[int, str]:
    """The exit code where an answer may not have been written, and what to say about it.

    A code that means what was printed is no answer where it could not be read: a
    pipe that broke makes it 141, and a full disk makes it, and success, a 2.

    Args:
        code: The command's own.
    """
    stream = sys.stdout
    if not isinstance(stream, LastingText):
        return code, ""
    stream.flush()
    error = stream.file.error
    if error is None:
        return code, ""
    if error.errno in READER_GONE:
        return (UNREAD if code in ANSWERS else code), ""
    words = f"the answer could not be written to standard output: {error.strerror}"
    return (UNWRITTEN if code in (0, *ANSWERS) else code), words
