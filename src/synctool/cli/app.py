"""The program: puts the commands together, runs one, and turns what goes wrong into words."""

from __future__ import annotations

import ast
import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import cleandoc
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from synctool._version import __version__
from synctool.cli.common import DEBUG_ENV, configure_logging, print_text, show_error
from synctool.errors import EXIT_OK, EXIT_UNEXPECTED, MissingError
from synctool.extras import explained
from synctool.files import output_error
from synctool.names import printable_lines
from synctool.plugins.loader import PluginRecord, get_plugins

EXIT_BROKEN_PIPE = 141
"""The reader of stdout went away: 128 and the number of the signal, as shells count."""

_ROOM = "synctool.cli"
COMMANDS: dict[str, str | Callable[..., None]] = {
    name: f"{_ROOM}.{name}:{name}"
    for name in (
        "demo",
        "detect",
        "fix",
        "watch",
        "serve",
        "verify",
        "stats",
        "explain",
        "live",
        "compare",
        "bench",
        "preprocess",
        "pairs",
        "units",
        "train",
        "adapt",
        "export",
        "backbones",
        "detectors",
        "doctor",
    )
}
"""The commands in the order of ``synctool --help``, and where they are: one that is run is imported alone."""

GROUPS: dict[str, str] = {name: f"{_ROOM}.{name}:app" for name in ("download", "plugins", "config")}
"""The groups of commands."""
_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
_OF_PLUGINS = {"plugins", "doctor"}
"""What tells how plugins fare, which shows when their commands are added."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: The words after ``synctool``, by default those of this process.

    Returns:
        The exit code: see ``synctool.errors``; 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, words = _debug_first(words)
    configure_logging(debug=debug)
    try:
        code = _exit_code(lambda: build_app(words)(args=words, prog_name="synctool", obj=words))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return EXIT_BROKEN_PIPE
    except Exception as error:
        return show_error(explained(_of_system(error), "this"), debug=debug)


def _of_system(error: Exception) -> Exception:
    """Turn what the operating system refuses into an error that says so, wherever it was asked.

    Files are written through ``synctool.files``, which names them; a full disk without a name is behind
    the standard output.
    """
    if not isinstance(error, OSError):
        return error
    if error.filename is not None:
        if error.errno not in (errno.EACCES, errno.EPERM):
            return error
        return MissingError(
            f"cannot open {os.fsdecode(error.filename)}: {error.strerror}",
            remedy="Check its permissions, and those of the folders above it.",
        )
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error
    _abandon_stdout()
    return output_error("the standard output", error)


def _abandon_stdout() -> None:
    """Keep Python from complaining at exit about what is still in the buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Commands(TyperGroup):
    """The group of all commands; its usage errors repeat words of the command line, made printable.

    Typer shows these errors itself, and most of its messages repeat a word as it is. It also shows a type
    beside switches and arguments: here they have none. After Ctrl-C it would end without a word.
    """

    def make_context(self, *args: Any, **more: Any) -> Any:
        """See ``click.Command.make_context``."""
        _without_types(self)
        with _printable_message():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """See ``click.Command.invoke``."""
        try:
            with _printable_message():
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            # A command that can go on later says so in the exception.
            print_text(str(stop) or "Stopped.", err=True)
            raise


def _without_types(command: Any) -> None:
    """Have help name arguments as they are written elsewhere, ``VIDEOS...``, and show no type beside them or
    beside switches; for a command and those below it."""
    context = Context(command, **_CONTEXT)
    for parameter in (*command.params, command.get_help_option(context)):
        if parameter.param_type_name == "argument":
            name = parameter.metavar or argument_name(parameter)
            used = name if parameter.required else f"[{name}]"
            parameter.metavar = name
            # Versions of Typer differ in the type beside an argument and in the brackets round its name.
            parameter.display_type_rich = lambda ctx: None
            parameter.get_usage_pieces = lambda ctx, used=used: [used]
        elif getattr(parameter, "is_bool_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    for below in getattr(command, "commands", {}).values():
        _without_types(below)


def argument_name(parameter: Any) -> str:
    """What help calls an argument that has no name of its own there."""
    return f"{parameter.name.upper()}..." if parameter.nargs == -1 else parameter.name.upper()


@contextmanager
def _printable_message() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Versions of Typer differ in which module has the class of these errors; all have this method.
        if words := getattr(error, "format_message", None):
            said = printable_lines(words())
            vars(error)["format_message"] = lambda: said
        raise


def build_app(words: Sequence[str] | None = None) -> typer.Typer:
    """The application with the commands of synctool and of all working plugins.

    Args:
        words: The words after ``synctool``. Where they begin with one of its own commands, there is no
            other; where there is no command among them, the commands are names with a help. None for all.

    Raises:
        PluginError: If a plugin is broken and ``SYNCTOOL_STRICT`` is set.
    """
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
    )
    app.callback()(_options)
    own = [*COMMANDS, *GROUPS]
    first = next((word for word in words or () if not word.startswith("-")), None)
    listed = words is not None and first is None and not _completing()
    alone = first in own and first not in _OF_PLUGINS and not _completing()
    wanted = [first] if first and alone else own
    for name in wanted:
        place = COMMANDS.get(name) or GROUPS[name]
        if listed and isinstance(place, str):
            app.command(name, help=unwrapped(_help_of(place)))(lambda: None)
        elif name in COMMANDS:
            command = _resolved(place)
            app.command(name, help=unwrapped(command.__doc__))(command)
        else:
            group = _resolved(place)
            for info in group.registered_commands:
                info.help = unwrapped(info.callback.__doc__ if info.callback else None)
            app.add_typer(group, name=name)
    if wanted is own:  # a plugin cannot take the name of a command
        for record in get_plugins().implementing("synctool_commands"):
            _add_commands(app, record)
    return app


def _resolved(place: str | Callable[..., None]) -> Any:
    return resolve_name(place) if isinstance(place, str) else place


def _help_of(place: str) -> str | None:
    """The help of a command or of a group, read from its module, which is not imported."""
    module, name = place.split(":")
    loader = getattr(find_spec(module), "loader", None)
    source = loader.get_source(module) if loader else None
    for node in ast.parse(source or "").body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node)
        if isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == [name]:
            told = {k.arg: k.value for k in getattr(node.value, "keywords", ())}
            return ast.literal_eval(told["help"])
    return _resolved(place).__doc__


def _completing() -> bool:
    """Whether a shell asks for completions, whose words are not on the command line."""
    return "_SYNCTOOL_COMPLETE" in os.environ


def unwrapped(text: str | None) -> str:
    """A docstring as help: paragraphs without line breaks of their own; indented lines stay lines."""
    paragraphs = cleandoc(text or "").split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else " ".join(p.split("\n")) for p in paragraphs)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"synctool {__version__}")
        raise typer.Exit


def _options(
    debug: Annotated[
        bool,
        typer.Option("--debug", help=f"Show tracebacks and the log ({DEBUG_ENV}=1 does, too)."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Show the version."),
    ] = False,
) -> None:
    """Measure how far audio and video of a talking face are apart, and repair it."""
    if debug:
        configure_logging(debug=True)


def _debug_first(words: list[str]) -> tuple[bool, list[str]]:
    """Let ``--debug`` stand anywhere, since it is added when a command has just failed."""
    end = words.index("--") if "--" in words else len(words)
    if "--debug" in words[:end]:
        kept = [word for word in words[:end] if word != "--debug"]
        return True, ["--debug", *kept, *words[end:]]
    return os.environ.get(DEBUG_ENV, "").lower() not in {"", "0", "false", "no", "off"}, words


def _exit_code(run: Callable[[], Any]) -> int:
    """Run a Typer application and return its exit code."""
    try:
        run()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer ends with 1 and says nothing
            raise end.__context__ from None
        if isinstance(end.code, int):
            return end.code
        return EXIT_OK if end.code is None else EXIT_UNEXPECTED
    return EXIT_OK


def _add_commands(app: typer.Typer, record: PluginRecord) -> None:
    """Let one plugin add its commands to an application of its own, and take over what is sound."""
    own = typer.Typer()
    own.callback()(lambda: None)  # with a callback it is a group however few commands it has

    def check(_: object) -> bool:
        clash = sorted(_command_names(own) & _command_names(app))
        if clash:
            raise ValueError(f"the command {clash[0]!r}, which is taken")
        return True

    if get_plugins().call(record, "synctool_commands", check=check, app=own):
        app.registered_commands += own.registered_commands
        app.registered_groups += own.registered_groups


def _command_names(app: typer.Typer) -> set[str]:
    """Build the commands, which fails for parameters that Typer cannot handle, and name them."""
    return set(getattr(get_command(app), "commands", ()))


if __name__ == "__main__":
    sys.exit(main())
