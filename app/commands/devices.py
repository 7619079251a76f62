"""`hark devices`: the microphones, by the names that `hark listen` and the daemon know them by."""

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def devices(as_json: bool) -> None:
    """List the input devices: name, channels, rate; the one marked * is taken where none is named.

    --device of `hark listen`, and device in the daemon's configuration, take a name or any part of it that no other
    device has.
    """
    from ..audio.devices import choose, input_devices
    from ..audio.portaudio import load_portaudio

    found = input_devices(load_portaudio())
    default = choose(found, None)
    for device in found:
        facts = {"name": device.name, "channels": device.channels, "rate_hz": device.rate_hz, "system": device.host}
        if as_json:
            click.echo(json.dumps(facts | {"default": device == default}))
        else:
            mark = "*" if device == default else " "
            click.echo(f"{mark} {device.name}  ({device.channels} channels, {device.rate_hz} Hz, {device.host})")
