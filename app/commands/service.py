"""`hark service`: the daemon as a service of systemd."""

import os
import sys
from pathlib import Path

import click

from ..cli import Group
from ..daemon.service import Service, installed_program
from ..errors import HarkError

_USER_OPTION = click.option(
    "--user",
    is_flag=True,
    help="A service of your own, on your sound server; else one of the system, with its own user.",
)


@click.group(cls=Group)
def service() -> None:
    """Let systemd run the daemon: hardened, and without a network unless the configuration needs one."""


@service.command()
@_USER_OPTION
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; a simple one is made if none is.",
)
def install(user: bool, config: Path | None) -> None:
    """Write the unit and start the service.

    It starts now and with the machine (--user: with your login).
    """
    ours = _service(user)
    if not user and os.geteuid() != 0:
        raise HarkError(f"a service of the system needs root: sudo {sys.argv[0]} service install, or give --user")
    program = installed_program(user=user)
    ours.check_systemd()  # before anything is written
    path = (config or ours.config).absolute()
    if ours.make_config(path):
        click.echo(f"wrote {path}")
    ours.write_unit(program, path)
    click.echo(f"wrote {ours.unit}")
    ours.start()
    click.echo(f"started; hark service status{' --user' * user} says how it is, {ours.journal} what it logs")
    if user:
        click.echo("it runs while you are logged in; for longer: loginctl enable-linger")


@service.command()
@_USER_OPTION
def uninstall(user: bool) -> None:
    """Stop the service and remove the unit; the configuration stays."""
    ours = _service(user)
    ours.uninstall()
    click.echo(f"removed {ours.unit}")


@service.command()
@_USER_OPTION
def status(user: bool) -> None:
    """Say how the service is.

    The exit status is 1 where it does not run.
    """
    ours = _service(user)
    facts = ours.facts()
    if facts["LoadState"] == "not-found":
        click.echo(f"not installed: hark service install{' --user' * user}")
        sys.exit(1)
    click.echo(f"{facts['ActiveState']} ({facts['UnitFileState']}): {facts['StatusText'] or 'nothing more is known'}")
    sys.exit(0 if facts["ActiveState"] == "active" else 1)


def _service(user: bool) -> Service:
    return Service.of_user() if user else Service.of_system()
