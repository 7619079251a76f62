"""`hark daemon`: hears for as long as the machine runs, as a configuration file says."""

import signal
from pathlib import Path

import click


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The configuration, a TOML file; docs/daemon.md has an example.",
)
@click.option("--check", is_flag=True, help="Say whether the configuration can be used, and end.")
@click.option(
    "--retire",
    is_flag=True,
    help="Let the broker of [mqtt] forget a daemon that is stopped, and Home Assistant with it, and end.",
)
def daemon(config: Path, check: bool, retire: bool) -> None:
    """Hear keywords for as long as the machine runs, and tell the outputs of the configuration.

    SIGHUP reads the configuration again, SIGUSR1 mutes or unmutes, SIGTERM ends it. The log is one JSON object a line
    on standard error.
    """
    from ..daemon import setup as s

    if check and retire:
        raise click.UsageError("--check and --retire are two things; give one")
    if retire:
        click.echo(f"{config}: {s.retire(config)}")
        return
    setup = s.set_up(config)
    if check:
        s.check_files(config, setup.config)
        outputs = ", ".join(setup.outputs) or "no output: nothing will come of what is heard"
        words = ", ".join(setup.config.model.keywords or setup.spotter.keywords)
        click.echo(f"{config}: can be used: {setup.spotter.name} hears {words}; outputs: {outputs}")
        return
    from ..daemon.daemon import Daemon
    from ..daemon.logs import log_to_stderr
    from ..daemon.notify import Notifier

    log_to_stderr()
    running = Daemon(setup, lambda: s.set_up(config, setup.control), Notifier())
    for number, action in {
        signal.SIGTERM: running.stop,
        signal.SIGINT: running.stop,
        signal.SIGHUP: running.reload,
        signal.SIGUSR1: setup.control.toggle,
    }.items():
        signal.signal(number, lambda *_, action=action: action())
    running.run()
