"""What boards print when something is wrong, as their ROMs, ESP-IDF and MicroPython print it."""

import os
import select
import threading
from collections.abc import Callable

ESP32 = "ets Jul 29 2019 12:21:46\r\n\r\n"
LOADED = """configsip: 0, SPIWP:0xee\r
clk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00\r
mode:DIO, clock div:2\r
load:0x3fff0030,len:4916\r
load:0x40078000,len:16436\r
load:0x40080400,len:4\r
ho 8 tail 4 room 4\r
load:0x40080404,len:3524\r
entry 0x400805b8\r
"""
POWER_ON = ESP32 + "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
RTC_WDT = ESP32 + "rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
SW_CPU = ESP32 + "rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
C3 = "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n"
S3 = "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n"
EMPTY = "invalid header: 0xffffffff\r\n" * 8
BANNER = """MicroPython v1.26.1 on 2025-09-11; Generic ESP32 module with ESP32\r
Type "help()" for more information.\r
>>> """
BACKTRACE = (
    "\r\n\r\nBacktrace: 0x40083a71:0x3ffe3ab0 0x4008d2a9:0x3ffe3ad0\r\n\r\n\r\nRebooting...\r\n"
)
GURU = """Guru Meditation Error: Core  1 panic'ed (LoadProhibited). Exception was unhandled.\r
\r
Core  1 register dump:\r
PC      : 0x4016b537  PS      : 0x00060d30  A0      : 0x80101ef5  A1      : 0x3ffb5620  \r
"""
TASK_WDT = """\
E (10325) task_wdt: Task watchdog got triggered. The following tasks/users \
did not reset the watchdog in time:\r
E (10325) task_wdt:  - mp_task (CPU 1)\r
E (10325) task_wdt: Tasks currently running:\r
E (10325) task_wdt: CPU 0: IDLE0\r
E (10325) task_wdt: CPU 1: mp_task\r
E (10325) task_wdt: Aborting.\r
E (10325) task_wdt: Print CPU 1 backtrace\r
"""
CORRUPTED = """The filesystem starting at sector 512 with size 512 sectors appears to\r
be corrupted. If you had important data there, you may want to make a flash\r
snapshot to try to recover it. Otherwise, perform factory reprogramming\r
of MicroPython firmware (completely erase flash, followed by firmware\r
programming).\r
"""
TRACEBACK = """Traceback (most recent call last):\r
  File "main.py", line 51, in <module>\r
  File "main.py", line 12, in run\r
ImportError: no module named 'agent.start'\r
"""
IDF = """I (27) boot: ESP-IDF v5.1.2 2nd stage bootloader\r
I (316) cpu_start: Multicore app\r
I (334) app_init: Application information:\r
I (337) app_init: Project name:     blink\r
I (411) main_task: Started on CPU0\r
"""

# text: what is found, and words of the detail
STARTS = [
    (C3 + "rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0/1))\r\nwaiting for download\r\n",
     "boot", "download mode"),
    (ESP32 + "rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
     "waiting for download\r\n", "boot", "download mode"),
    (POWER_ON + LOADED + "\r\nBrownout detector was triggered\r\n\r\n", "supply", "brownout"),
    (ESP32 + "rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n",
     "supply", "brownout"),
    (C3 + "rst:0xf (BROWNOUT_RST),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n", "supply", "brownout"),
    ((S3 + "rst:0x7 (TG0WDT_SYS_RST),boot:0x2b (SPI_FAST_FLASH_BOOT)\r\nSaved PC:0x400454d5\r\n"
     "mode:QIO, clock div:1\r\nload:0x3fce3818,len:0x16f8\r\nets_loader.c 78 \r\n") * 3,
     "flash mode", "started 3 times"),
    (RTC_WDT + "mode:QIO, clock div:2\r\nload:0x3fff0018,len:4\r\n"
     "load:0xfcddccec,len:-822218804\r\n", "flash mode", "cannot be read"),
    (POWER_ON + "csum err:0x9a!=0x5f\r\nets_main.c 384 \r\n", "flash mode", "cannot be read"),
    ((RTC_WDT + EMPTY) * 2, "firmware", "empty where the chip starts from"),
    ((C3 + "rst:0x7 (TG0WDT_SYS_RST),boot:0xc (SPI_FAST_FLASH_BOOT)\r\nSaved PC:0x4004c0dc\r\n"
     + EMPTY) * 2, "firmware", "empty where the chip starts from"),
    (RTC_WDT + "invalid header: 0x25207325\r\n" * 8, "firmware", "no image (0x25207325)"),
    ((RTC_WDT + "flash read err, 1000\r\nets_main.c 371 \r\n") * 4, "firmware", "GPIO12"),
    (S3 + "rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"
     "Invalid chip id. Expected 9 read 0. Bootloader for wrong chip?\r\nets_main.c 329 \r\n",
     "firmware", "another chip (number 0)"),
    ("E (74) boot_comm: mismatch chip ID, expected 0, found 9\r\n", "firmware", "(number 9)"),
    (SW_CPU + LOADED + "E (452) spi_flash: Detected size(2048k) smaller than the size in the binary"
     " image header(4096k). Probe failed.\r\n\r\nassert failed: do_core_init startup.c:328 "
     "(flash_ret == ESP_OK)\r\n" + BACKTRACE, "firmware", "wants 4096 KB of flash"),
    (POWER_ON + LOADED + "E (39) flash_parts: partition 0 invalid magic number 0xffff\r\n"
     "E (45) boot: Failed to verify partition table\r\nE (50) boot: load partition "
     "table error!\r\n", "firmware", "partition table"),
    (POWER_ON + LOADED + "E (1204) esp_image: Image hash failed - image is corrupt\r\n"
     "E (1205) boot: Factory app partition is not bootable\r\n"
     "E (1208) boot: No bootable app partitions in the partition table\r\n",
     "firmware", "damaged"),
    ("\r\n***ERROR*** A stack overflow in task mp_task has been detected.\r\n" + BACKTRACE,
     "crash", "stack of task mp_task"),
    ((GURU + BACKTRACE + SW_CPU + LOADED) * 2, "crash", "LoadProhibited on core 1; it started 2"),
    ("Guru Meditation Error: Core  0 panic'ed (Interrupt wdt timeout on CPU0). \r\n" + BACKTRACE,
     "crash", "Interrupt wdt timeout"),
    (TASK_WDT + BACKTRACE, "watchdog", "the program hangs"),
    ("abort() was called at PC 0x40139134 on core 0\r\n" + BACKTRACE, "crash", "0x40139134"),
    (CORRUPTED, "file system", "damaged"),
    (TRACEBACK, "program", "ImportError: no module named 'agent.start'"),
    ("Traceback (most recent call last):\r\n  File \"main.py\", line 3, in <module>\r\n"
     "MemoryError: memory allocation failed, allocating 4096 bytes\r\n", "program", "MemoryError"),
    ((RTC_WDT + LOADED) * 3, "boot loop", "watchdog (RTCWDT_RTC_RESET); it started 3 times"),
    ((SW_CPU + LOADED) * 2, "boot loop", "a restart by software (SW_CPU_RESET)"),
]  # fmt: skip


def again_and_again(text: str) -> Callable[[int, threading.Event], None]:
    """What a board does that gets no further than this; what it is sent is lost."""

    def run(master: int, stopping: threading.Event) -> None:
        while not stopping.wait(0.05):
            if select.select([], [master], [], 0)[1]:
                os.write(master, text.encode())
            while select.select([master], [], [], 0)[0]:
                os.read(master, 4096)

    return run
