# A MicroPython that stands in for the one on an ESP32: no libraries of the host, one thread, a device's REPL.
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_SSL = 0
MICROPY_PY_THREAD = 0
MICROPY_PY_TERMIOS = 0
MICROPY_PY_SOCKET = 1
MICROPY_SSL_MBEDTLS = 0
MICROPY_VFS_FAT = 0
MICROPY_VFS_LFS1 = 0
MICROPY_VFS_LFS2 = 0

SHARED_SRC_C_EXTRA += runtime/pyexec.c
FROZEN_MANIFEST ?= $(VARIANT_DIR)/manifest.py

# float32 makes warnings of the unix port's own files, which are written for double.
CFLAGS_EXTRA += -Wno-error

# device.c brings its own of these; the unix port's keep their code under another name.
$(BUILD)/unix_mphal.o: CFLAGS += \
	-Dmp_hal_set_interrupt_char=unix_set_interrupt_char \
	-Dmp_hal_stdout_tx_strn_cooked=unix_stdout_tx_strn_cooked

# sys.stdout ends lines as a board's does, sys.stdout.buffer leaves bytes alone: device.c tells them apart.
$(BUILD)/extmod/vfs_posix_file.o: CFLAGS += \
	-D'mp_hal_stdout_tx_strn(str, len)=device_stdout_write(o, str, len)'

# Every path that reaches the file system of the host goes through device.c first.
$(BUILD)/extmod/vfs_posix.o: CFLAGS += -Dmp_obj_str_get_str=device_path -Drename=device_rename
