"""What keeps a board from its broker, in words: for the board's log, the monitor and the doctor."""

# [3.2.2.3] of MQTT 3.1.1
_CONNACK = (
    "",
    "it does not speak MQTT 3.1.1",
    "it refuses the device's name",
    "it is not ready",
    "user or password is wrong",
    "the user may not connect",
)
_WIFI = {
    "lost": "the network was lost",
    "2": "the password is not accepted",
    "15": "the password is not accepted",
    "200": "the network is not heard any more",
    "201": "no network of that name is heard",
    "202": "the password is not accepted",
    "203": "the access point refuses the board",
    "204": "the password is not accepted",
    "1000": "joining takes too long",
    "1001": "joining takes too long",
}
_CODES = {
    "name": "its name is not known, or no name server answers",
    "public": "its name leads to an address outside private networks: refused without mqtt.tls or "
    "mqtt.in_clear",
    "unreachable": "its address does not answer",
    "silent": "it does not answer",
    "closed": "it ended the connection",
    "garbage": "what it sends is no MQTT 3.1.1",
    "oversize": "it sends packets of more than 4 KB",
    "suback": "it refuses the subscription to the topic down: see its ACL",
    "certificate": "its certificate is not signed by ca_file, is for another host, or out of date",
    "time": "no time server answers, and certificates have dates: set mqtt.ntp",
}
_OS = {
    "2": "a file is missing on the board: deploy again",
    "12": "the board has no memory left",
    "104": "it ended the connection",
    "111": "nothing listens on its port",
    "113": "there is no way to its address",
    "118": "there is no way to its address",
    "128": "nothing listens on its port, or it ended the connection",
}


def words(code: str) -> str:
    """A sentence for a code of the link; the code itself stands in it where it is none of these."""
    kind, _, rest = code.partition(" ")
    if kind == "wifi":
        return "wifi: " + _WIFI.get(rest, "joining failed, reason %s" % rest)
    if kind == "connack":
        n = int(rest) if rest.isdigit() else 0
        said = _CONNACK[n] if n < len(_CONNACK) else ""
        return "broker: " + (said or "it refuses the board, code %s" % rest)
    if kind == "os":
        return "broker: " + _OS.get(rest, "error %s" % rest)
    return "broker: " + _CODES.get(code, code)
