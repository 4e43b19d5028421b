"""Run by MicroPython: connects over TLS as a board does and prints how far it came.

micropython dial_tls.py ADDRESS PORT CA_FILE
"""

import sys
import time

from agent.communication.mqtt import packets
from agent.communication.mqtt.session import Buffers, Session, Topics
from agent.rare import dial

dial.CA_FILE = sys.argv[3]
BROKER = {"host": sys.argv[1], "port": int(sys.argv[2]), "tls": True, "in_clear": False, "ntp": ""}


def main():
    topics = Topics("home", "b1")
    dialer = dial.Dialer(BROKER, packets.connect("b1", 30, "", "", topics.link, "lost"), {})
    now_ms = 0  # stands still: that a broker is silent is shown elsewhere
    try:
        while not (socket := dialer.step("127.0.0.1", now_ms)):
            time.sleep_ms(100)
        session = Session(socket, topics, 30000, Buffers(), now_ms)
        while session.state != "up":
            session.look(now_ms)
            time.sleep_ms(20)
        line = b"x" * 3000 + b"\n"
        session.publish(line)
        for _ in range(10):
            session.look(now_ms)
        session.end()
        print("up")
    except packets.BrokerError as error:
        print(error)
    except OSError as error:
        print("os", error.args[0])


main()
