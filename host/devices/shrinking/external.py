"""Names that the interpreter and its modules know: theirs to choose, and in no one's RAM."""

import array
import binascii
import builtins
import errno
import gc
import hashlib
import io
import itertools
import json
import keyword
import math
import os
import select
import struct
import sys
import time

_OBJECTS = (
    *(array.array, BaseException, bytearray, bytes, dict, float, int, list, memoryview, object),
    *(OSError, set, slice, str, tuple, type, io.BytesIO, io.StringIO, io.FileIO, type(iter(""))),
    *(type(hashlib.sha256()), type(len), type(_ for _ in ()), type(lambda: 0)),
    *(array, binascii, builtins, errno, gc, hashlib, io, json, math, os, select, struct, sys, time),
)
# Of MicroPython's own modules, and of objects they make.
_MICROPYTHON = """
    micropython const native viper mem_info qstr_info heap_lock heap_unlock schedule opt_level
    alloc_emergency_exception_buf kbd_intr stack_use asm_xtensa asm_rv32 ptr ptr8 ptr16
    ptr32 mem_alloc mem_free threshold ticks_ms ticks_us ticks_cpu ticks_diff ticks_add sleep
    sleep_ms sleep_us implementation print_exception register unregister modify poll ipoll
    POLLIN POLLOUT POLLERR POLLHUP ilistdir statvfs mount umount VfsFat VfsLfs2 dupterm uctypes
    addressof bytearray_at bytes_at sizeof machine Pin ADC I2C SoftI2C SPI SoftSPI UART WDT RTC
    Timer PWM Signal Counter Encoder mem8 mem16 mem32 IN OUT OPEN_DRAIN ALT PULL_UP PULL_DOWN
    IRQ_RISING IRQ_FALLING ATTN_0DB ATTN_2_5DB ATTN_6DB ATTN_11DB WIDTH_12BIT PERIODIC ONE_SHOT
    init deinit value on off high low toggle mode pull drive irq read read_u16 read_uv atten
    width block write readinto readline write_readinto scan start stop readfrom readfrom_into
    writeto writevto readfrom_mem readfrom_mem_into writeto_mem feed freq duty duty_u16 duty_ns
    datetime memory counter trigger handler flags any txdone flush sendbreak reset reset_cause
    soft_reset unique_id idle lightsleep deepsleep bootloader disable_irq enable_irq
    time_pulse_us bitstream PWRON_RESET HARD_RESET WDT_RESET DEEPSLEEP_RESET SOFT_RESET onewire
    OneWire OneWireError SEARCH_ROM MATCH_ROM SKIP_ROM readbit readbyte writebit writebyte
    select_rom crc8 ds18x20 DS18X20 esp32 NVS Partition ULP RMT raw_temperature mcu_temperature
    idf_heap_info nvs get_i32 set_i32 get_blob set_blob commit network WLAN socket erase_key
    hostname country active isconnected status connect disconnect config ifconfig ioctl AF_INET
    SOCK_STREAM SOCK_DGRAM getaddrinfo setblocking settimeout setsockopt bind listen accept send
    sendto recv recvfrom tls SSLContext PROTOCOL_TLS_CLIENT CERT_NONE CERT_REQUIRED verify_mode
    load_verify_locations load_cert_chain wrap_socket server_hostname do_handshake_on_connect
"""
# What CPython's memoryviews have and MicroPython's have not.
_ELSEWHERE = frozenset({"shape", "strides", "suboffsets", "ndim", "contiguous", "nbytes", "obj"})
EXTERNAL = (
    frozenset(itertools.chain.from_iterable(dir(each) for each in _OBJECTS))
    | frozenset(_MICROPYTHON.split())
    | frozenset(keyword.kwlist)
) - _ELSEWHERE
