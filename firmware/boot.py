# First thing after reset: the relay in its safe state (fan on), whatever else may be broken.


def safe_relay():
    try:
        import json

        import machine

        with open("/config.json") as file:
            relay = json.load(file)["relay"]
        # On a normally closed contact the fan runs without current in the coil.
        coil = relay.get("contact", "nc") == "no"
        level = 1 if coil == (relay.get("active", "high") == "high") else 0
        machine.Pin(relay["pin"], machine.Pin.OUT, value=level)
        return True
    except Exception:
        # Settings that cannot be read: the pin stays an input, as reset left it, and the coil off.
        return False


safe_relay()
