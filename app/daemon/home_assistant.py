"""What Home Assistant must be told to show tinyhark as a device: MQTT discovery, one message for all of it.

Form: "device discovery" of https://www.home-assistant.io/integrations/mqtt (Home Assistant 2024.11 and later).
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from .. import __version__


def discovery(prefix: str, topic: str, keywords: Sequence[str]) -> dict[str, str]:
    """Topic and payload, to be published retained: an event entity a keyword, mute, state, false wake."""
    device = re.sub(r"[^A-Za-z0-9_-]", "_", topic)
    parts: dict[str, dict[str, Any]] = {
        f"event_{keyword}": {
            "platform": "event",
            "unique_id": f"{device}_{keyword}",
            "name": keyword,
            "icon": "mdi:account-voice",
            "state_topic": event_topic(topic, keyword),
            "event_types": ["heard"],
        }
        for keyword in keywords
    }
    parts["mute"] = {
        "platform": "switch",
        "unique_id": f"{device}__mute",
        "name": "Mute",
        "icon": "mdi:microphone-off",
        "state_topic": f"{topic}/mute",
        "command_topic": f"{topic}/mute/set",
    }
    parts["state"] = {
        "platform": "sensor",
        "unique_id": f"{device}__state",
        "name": "State",
        "entity_category": "diagnostic",
        "state_topic": f"{topic}/state",
        "value_template": "{{ value_json.state }}",
        "json_attributes_topic": f"{topic}/state",
    }
    parts["false_wake"] = {
        "platform": "button",
        "unique_id": f"{device}__false_wake",
        "name": "That was a false wake",
        "entity_category": "diagnostic",
        "command_topic": f"{topic}/false_wake/set",
    }
    whole = {
        "device": {"identifiers": [device], "name": topic, "model": "tinyhark", "sw_version": __version__},
        "origin": {"name": "tinyhark", "sw_version": __version__},
        "availability_topic": f"{topic}/available",
        "components": parts,
    }
    return {f"{prefix}/device/{device}/config": json.dumps(whole)}


def without(old: object, new: str) -> str:
    """The payload that makes Home Assistant forget the keywords of `old`, what it was told before, that `new` lacks.

    Empty where there are none, or `old` is no such payload.
    """
    try:
        parts = json.loads(old)["components"] if isinstance(old, bytes) else {}
        gone = [name for name in parts if name.startswith("event_")]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    whole = json.loads(new)
    removed = {name: {"platform": "event"} for name in gone if name not in whole["components"]}
    whole["components"] |= removed
    return json.dumps(whole) if removed else ""


def event_topic(topic: str, keyword: str) -> str:
    """Where a keyword's events are published."""
    return f"{topic}/event/{re.sub('[+#/]', '_', keyword)}"
