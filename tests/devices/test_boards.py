"""Board files: what is there, what is refused, in which words."""

import pytest

from host.devices import board_schema
from host.devices.boards import BOARDS, CHIPS, list_boards, load_board
from host.devices.build import CHIPS as BUILT
from host.devices.errors import BoardFileError, SettingsError, UnknownBoardError
from host.devices.pins import parse, users_of

ALL = [
    "esp32",
    "esp32-c3",
    "esp32-c6",
    "esp32-s2",
    "esp32-s3",
    "esp32-wrover",
    "lilygo-relay",
    "m5stack-atom",
    "qemu-esp32",
    "simulated",
]


def test_the_boards_there_are():
    assert list_boards() == ALL


@pytest.mark.parametrize("name", ALL)
def test_every_board_of_the_project_is_good(name):
    board = load_board(name)
    config = board.device_config(device="d1", limit_mc=42000, sensors={"fan": None})
    assert config["board"] == name
    assert config["limit_mc"] == 42000
    assert "fan" not in config["sensors"]
    assert board.relay["contact"] == "nc"
    assert set(board.sensors) == {"case", "ambient", "power", "fan"}


@pytest.mark.parametrize(
    ("name", "chip_id", "offset", "stem", "kernels"),
    [
        ("esp32", 0, 0x1000, "ESP32_GENERIC", "esp32"),
        ("esp32-wrover", 0, 0x1000, "ESP32_GENERIC-SPIRAM", "esp32"),
        ("lilygo-relay", 0, 0x1000, "ESP32_GENERIC-SPIRAM", "esp32"),
        ("m5stack-atom", 0, 0x1000, "M5STACK_ATOM", "esp32"),
        ("qemu-esp32", 0, 0x1000, "ESP32_GENERIC", "esp32"),
        ("esp32-s2", 2, 0x1000, "ESP32_GENERIC_S2", "esp32s2"),
        ("esp32-s3", 9, 0x0, "ESP32_GENERIC_S3", "esp32"),
        ("esp32-c3", 5, 0x0, "ESP32_GENERIC_C3", "rv32"),
        ("esp32-c6", 13, 0x0, "ESP32_GENERIC_C6", "rv32"),
    ],
)
def test_what_is_flashed_and_run(name, chip_id, offset, stem, kernels):
    board = load_board(name)
    assert (board.chip_image_id, board.flash.offset) == (chip_id, offset)
    assert (board.image.stem, board.native.kernels) == (stem, kernels)


def test_the_simulated_board_is_not_flashed():
    board = load_board("simulated")
    assert (board.flash, board.image, board.usb_ids, board.native) == (None, None, (), None)


def test_usb_ids_are_numbers():
    assert (0x10C4, 0xEA60) in load_board("esp32").usb_ids
    assert (0x303A, 0x1001) in load_board("esp32-c3").usb_ids


def test_every_chip_can_be_built_for():
    assert {path.stem for path in CHIPS.glob("*.toml")} == {*BUILT, "simulated"}


def test_the_wiring_of_one_device_may_differ():
    board = load_board("esp32")
    config = board.device_config(device="d1", relay={"active": "low"})
    assert config["relay"] == {"pin": 26, "contact": "nc", "active": "low"}
    assert board.relay["active"] == "high"


def test_settings_a_board_would_refuse_are_refused_here():
    with pytest.raises(SettingsError) as caught:
        load_board("esp32").device_config(device="Kitchen", limit_mc=1, relay={"pin": 12})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "device",
        "limit_mc",
        "relay.pin",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("esp23", "did you mean 'esp32'"),
        ("arduino", "known are: esp32, esp32-c3"),
        ("", "known are"),
    ],
)
def test_an_unknown_board(name, words):
    with pytest.raises(UnknownBoardError, match=words):
        load_board(name)


GOOD = (BOARDS / "esp32.toml").read_text()
STRAP = "is a strapping pin: its level at reset decides how the chip starts"


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ('chip = "esp32"', "chip = ", ["esp32.toml:6: Invalid value"]),
        ("heap_kb = 160", "heap_kb = -1", ["esp32.toml: memory.heap_kb: -1 is not positive"]),
        ("heap_kb = 160", 'heap_kb = "x"', ["memory.heap_kb: a number is needed, not 'x'"]),
        ("pin = 27", "pin = 26", ["sensors.fan.pin: pin 26 is relay.pin"]),
        ('name = "esp32"', 'name = "esp"', ["name: 'esp' differs from the file's name 'esp32'"]),
        (
            "[memory]\nheap_kb = 160",
            "[memory]\nheap = 160",
            ["memory.heap_kb: a number is needed, not None", "memory.heap: there is no such entry"],
        ),
        ('driver = "tach"', 'driver = "tacho"', ["sensors.fan.driver: 'tacho', tach is needed"]),
        ("[memory]", "[memories]", ["memories: there is no such entry", "[memory] is missing"]),
        (
            'chip = "esp32"',
            'chip = "esp8266"',
            [
                "chip: there is no 'esp8266'; known are:"
                " esp32, esp32c3, esp32c6, esp32s2, esp32s3, simulated"
            ],
        ),
        (
            'chip = "esp32"',
            'chip = "esp32c3"',
            [
                "flash.offset: 0x1000, but the ESP32-C3 starts from 0x0",
                "relay.pin: pin 26 does not exist on the ESP32-C3; free for it: 0, 1, 3, 5, 6, 7",
                "sensors.ambient.pin: pin 34 does not exist on the ESP32-C3; free for it: 0, 1, 3",
                "sensors.power.sda: pin 21 carries the serial line to the host; free",
                "sensors.power.scl: pin 22 does not exist on the ESP32-C3; free",
                "sensors.fan.pin: pin 27 does not exist on the ESP32-C3; free",
            ],
        ),
        ('chip = "esp32"', 'chip = "simulated"', ["[flash]: a simulated board is not flashed"]),
        ("[image]", "[picture]", ["picture: there is no", "[flash] and [image] go together"]),
        ('mode = "keep"', 'mode = "fast"', ["flash.mode: 'fast', keep or qio or qout or dio or"]),
        ('freq = "keep"', 'freq = "80"', ["flash.freq: '80', keep or 20m or 26m or 40m or 80m"]),
        ("offset = 0x1000", "offset = true", ["flash.offset: a number is needed, not True"]),
        ("offset = 0x1000", "offset = 0", ["flash.offset: 0x0, but the ESP32 starts from 0x1000"]),
        ('"1.24"', '"v1.24"', ["image.min_version: 'v1.24' is no version like \"1.24\""]),
        ('"ESP32_GENERIC"', '"../up"', ["image.name: '../up' has other characters than A-Z 0-9 _"]),
        ('"10c4:ea60"', '"CP2102"', ["usb.ids: 'CP2102', \"vendor:product\" is needed, e.g."]),
        ('absent = "37-38"', 'absent = "37-"', ["pins.absent: '37-', pins like \"0 2 12-15\" are"]),
        ('absent = "37-38"', 'absent = "8-7"', ["pins.absent: '8-7', pins like"]),
        (
            'absent = "37-38"',
            "absent = 37\nwired = {LED = 2}",
            ["pins.absent: a text is needed, not 37", "pins.wired.LED: a pin and what is soldered"],
        ),
        ("pin = 26", "pin = 12", [f"relay.pin: pin 12 {STRAP}; free for it: 13, 16, 17, 18, 19"]),
        ("pin = 26", "pin = 6", ["relay.pin: pin 6 is wired to the flash memory; free for it: 13"]),
        ("pin = 26", "pin = 35", ["relay.pin: pin 35 can only be an input; free for it: 13"]),
        ("pin = 26", "pin = 24", ["relay.pin: pin 24 does not exist on the ESP32; free"]),
        ("pin = 26", "pin = 14", ["relay.pin: pin 14 pulses while the chip starts, and the relay"]),
        ("pin = 26", "pin = 37", ["relay.pin: pin 37 is not brought out on this board; free"]),
        (
            "pin = 34",
            "pin = 16",
            ["sensors.ambient.pin: pin 16 has no analogue input; free for it"],
        ),
        (
            "pin = 34",
            "pin = 25",
            ["ambient.pin: pin 25 is on ADC2, which does not work beside Wi-"],
        ),
        ("pin = 27", "pin = 39", ["sensors.fan.pin: pin 39 has no pull-up, which the tachometer"]),
        ("scl = 22", "scl = 1", ["sensors.power.scl: pin 1 carries the serial line to the host"]),
        (
            "pin = 4\n",
            "pin = 36\n",
            ["sensors.case.pin: pin 36 can only be an input; free for it: 4, 13, 14, 16, 17, 18"],
        ),
    ],
)
def test_a_board_file_with_problems(tmp_path, old, new, problems):
    assert old in GOOD
    (tmp_path / "esp32.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BoardFileError) as caught:
        load_board("esp32", tmp_path)
    assert len(caught.value.problems) == len(problems), caught.value.problems
    for message, words in zip(caught.value.problems, problems, strict=True):
        assert words in message


@pytest.mark.parametrize(
    "text", ["", "relay = 1\nsensors = []", "memory = 1\nimage = 2\nflash = 3\nusb = 4\npins = 5"]
)
def test_a_file_of_another_form_is_told_not_raised(tmp_path, text):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(BoardFileError, match="name: a text is needed"):
        load_board("x", tmp_path)


@pytest.mark.parametrize(
    ("board", "pin", "use", "why"),
    [
        ("esp32-wrover", 16, "", "is wired to the PSRAM"),
        ("esp32", 16, "relay", ""),
        ("esp32-s3", 35, "", "is wired to the PSRAM"),
        ("esp32-s3", 19, "", "carries USB"),
        ("esp32-s3", 23, "", "does not exist on the ESP32-S3"),
        ("esp32-s3", 3, "ntc", STRAP),
        ("esp32-s3", 11, "ntc", "is on ADC2, which does not work beside Wi-Fi"),
        ("esp32-s3", 48, "", "is taken on this board by the RGB LED"),
        ("esp32-s2", 46, "ntc", STRAP),
        ("esp32-c3", 5, "ntc", "is on ADC2, which does not work beside Wi-Fi"),
        ("esp32-c3", 9, "", STRAP),
        ("esp32-c6", 14, "", "is not brought out on this board"),
        ("esp32-c6", 15, "", STRAP),
        ("m5stack-atom", 16, "", "is wired to the flash memory"),
        ("m5stack-atom", 39, "ntc", "is taken on this board by the button"),
        ("lilygo-relay", 5, "relay", STRAP),
        ("lilygo-relay", 19, "relay", ""),
        ("lilygo-relay", 19, "tach", "is taken on this board by a relay"),
        ("simulated", 0, "ntc", ""),
    ],
)
def test_what_a_pin_is_good_for(board, pin, use, why):
    assert load_board(board).pins.refusal(pin, use) == why


def test_a_board_with_relays_offers_those_first():
    assert load_board("lilygo-relay").pins.usable("relay")[:3] == [18, 19, 21]


def test_users_of_pins_pass_over_what_has_no_form():
    wiring = {
        "relay": {"pin": True},
        "sensors": {"case": 3, "fan": {"driver": "tach", "pin": 5, "sda": "x"}, "power": {}},
    }
    assert list(users_of(wiring)) == [("sensors.fan.pin", 5, "tach")]
    assert list(users_of({"relay": 5, "sensors": [1]})) == []


def test_a_chip_file_with_problems():
    raw = {"title": "X", "image_id": -1, "pins": {"adc1": "a-b", "adc3": "1"}}
    assert board_schema.chip_problems(raw) == [
        "image_id: -1 is not positive",
        "pins.all: a text is needed, not None",
        "pins.adc3: there is no such entry",
        "pins.adc1: 'a-b', pins like \"0 2 12-15\" are needed",
    ]


def test_every_file_says_only_pins_that_exist():
    for name in ALL:
        pins = load_board(name).pins
        for kind, numbers in pins.kinds.items():
            assert numbers <= pins.of("all"), f"{name}: {kind}"
        assert set(pins.wired) <= pins.of("all")


def test_pins_as_text():
    assert parse("0 2 12-15") == {0, 2, 12, 13, 14, 15}
    assert parse("") == frozenset()
