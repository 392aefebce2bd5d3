"""How a command ends that does not end well: exit status and lines on standard error (cli.md).

click prints three lines for a wrong argument, one of them the message; ours is one line each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click


class Ending(click.ClickException):
    """An exit status and what is wrong, one line each."""

    def __init__(self, status: int, lines: Sequence[str]) -> None:
        super().__init__("\n".join(" ".join(line.split()) for line in lines))
        self.exit_code = status

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=True)


def failed(line: str) -> Ending:
    """It was tried and did not work."""
    return Ending(1, [line])


def misconfigured(lines: Sequence[str]) -> Ending:
    """Every problem of the configuration."""
    return Ending(78, lines)


class OneLineErrors(click.Group):
    """A group whose wrong arguments are told in one line."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        place = error.ctx.command_path if error.ctx else "presenced"
        raise Ending(2, [f"{place}: {error.format_message()} See {place} --help."]) from None
