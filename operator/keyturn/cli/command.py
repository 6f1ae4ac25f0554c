"""What the commands share in click's world: examples in the help, options with an optional value or several, one way to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Example:
    """A line somebody can type, and what it is for."""

    purpose: str
    line: str


def comma_separated(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Callback of an option that takes `a,b`: each once, in order; None if it was not given."""
    if value is None:
        return None
    found = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not found:
        raise click.BadParameter("it names nothing: write one name, or several as a,b", param=parameter)
    return found


class Command(click.Command):
    """A command with examples. `bare`: what an option with an optional value means without one, as in `--wait`."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  click's own signature
        examples: Sequence[Example] = (),
        bare: dict[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401  click's own signature
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self._bare = bare or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but an option with an optional value never takes the next word for it: `rotate --wait billing`."""
        end = args.index("--") if "--" in args else len(args)
        words = [f"{word}={self._bare[word]}" if word in self._bare else word for word in args[:end]]
        return super().parse_args(ctx, words + args[end:])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, under the options, as the program was called."""
        program = ctx.find_root().info_name or "keyturn"
        if not self.examples:
            return
        with formatter.section("Examples"):
            for number, example in enumerate(self.examples):
                if number:
                    formatter.write("\n")
                indent = " " * formatter.current_indent
                formatter.write(f"{indent}# {example.purpose}\n{indent}{example.line.replace('keyturn', program, 1)}\n")
