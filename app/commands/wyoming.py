"""`hark wyoming`: the wake-word service for Home Assistant and others that speak Wyoming, without a microphone."""

import click

from .options import model_option


@click.command()
@click.option(
    "--uri", default="tcp://127.0.0.1:10400", show_default=True, help="tcp://HOST:PORT, unix://PATH, stdio://."
)
@click.option("--allow", multiple=True, metavar="NETWORK", help="Who else may connect, as 192.168.1.0/24; repeat.")
@click.option("--zeroconf", is_flag=True, help="Announce it in the local network, so that Home Assistant offers it.")
@model_option
def wyoming(uri: str, allow: tuple[str, ...], zeroconf: bool, model: str) -> None:
    """Serve keyword spotting to clients that send their sound by the Wyoming protocol."""
    import asyncio
    import signal

    from ..daemon.logs import log_to_stderr
    from ..daemon.wyoming_place import check
    from ..errors import HarkError
    from ..spotter import Spotter

    try:
        place, networks = check(uri, allow, zeroconf=zeroconf)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        from ..daemon.wyoming_service import WyomingService, announcer

        announce = announcer() if zeroconf else None
    except ImportError as error:
        raise HarkError(f"hark wyoming needs {error.name}; pip install 'tinyhark[daemon]'") from None
    spotter = Spotter(model)
    service = WyomingService(place, networks, lambda: Spotter(spotter.models), spotter.keywords, announce)
    log_to_stderr()

    async def serve() -> None:
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await service.serve(stopping)

    asyncio.run(serve())
