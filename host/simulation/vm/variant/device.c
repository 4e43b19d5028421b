// The device REPL (shared/runtime/pyexec.c) on the unix port: boot.py, main.py, then the friendly or the raw
// REPL, so that mpremote and the like attach as they do to a board.

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs_posix.h"
#include "shared/runtime/pyexec.h"

static volatile sig_atomic_t interrupt_wanted;

static void on_interrupt(int signum) {
    (void)signum;
    if (interrupt_wanted) {
        mp_sched_keyboard_interrupt();
    }
}

// On a board the UART's interrupt compares each byte with the interrupt character; here the terminal does, and
// sends SIGINT. The order keeps a Ctrl-C in between harmless: it is ignored, never fatal. NOFLSH: a UART loses
// nothing that was received before.
void mp_hal_set_interrupt_char(char c) {
    static bool installed;
    if (!installed) {
        struct sigaction action = {.sa_handler = on_interrupt};
        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, NULL);
        installed = true;
    }
    bool on = c == CHAR_CTRL_C;
    if (on) {
        interrupt_wanted = 1;
    }
    struct termios tty;
    if (tcgetattr(STDIN_FILENO, &tty) == 0) {
        cfmakeraw(&tty);
        if (on) {
            tty.c_lflag |= ISIG | NOFLSH;
            for (size_t i = 0; i < NCCS; i++) {
                tty.c_cc[i] = _POSIX_VDISABLE;
            }
            tty.c_cc[VINTR] = CHAR_CTRL_C;
        }
        tty.c_cc[VMIN] = 1;
        tty.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &tty);
    }
    if (!on) {
        interrupt_wanted = 0;
    }
}

// print() ends its lines with CR LF on a board.
void mp_hal_stdout_tx_strn_cooked(const char *str, size_t len) {
    const char *last = str;
    const char *end = str + len;
    for (const char *at = str; at < end; at++) {
        if (*at == '\n') {
            if (at > last) {
                mp_hal_stdout_tx_strn(last, at - last);
            }
            mp_hal_stdout_tx_strn("\r\n", 2);
            last = at + 1;
        }
    }
    if (end > last) {
        mp_hal_stdout_tx_strn(last, end - last);
    }
}

// Writes to sys.stdout and sys.stdout.buffer, from extmod/vfs_posix_file.c.
void device_stdout_write(const void *file, const char *str, size_t len) {
    const mp_obj_base_t *base = file;
    if (base->type == &mp_type_vfs_posix_textio) {
        mp_hal_stdout_tx_strn_cooked(str, len);
    } else {
        mp_hal_stdout_tx_strn(str, len);
    }
}

// The two paths the file system was asked for last.
static const char *asked[2];

// The flash is a folder, and a path must not climb out of it. (Climbing is judged by the text alone, so
// a relative path cannot leave the current folder upwards either.)
const char *device_path(mp_obj_t path_in) {
    const char *path = mp_obj_str_get_str(path_in);
    int depth = 0;
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (len == 2 && at[0] == '.' && at[1] == '.') {
            depth--;
        } else if (len > 0 && !(len == 1 && at[0] == '.')) {
            depth++;
        }
        if (depth < 0) {
            mp_raise_OSError(MP_ENOENT);
        }
        at += len;
        at += *at == '/';
    }
    asked[0] = asked[1];
    asked[1] = path;
    return path;
}

// extmod/vfs_posix.c puts the folder's name in front of absolute paths, of both in one and the same buffer, so
// that the second overwrites the first: the first is made once more.
int device_rename(const char *from, const char *to) {
    if (asked[0][0] != '/' || asked[1][0] != '/') {
        return rename(from, to);
    }
    size_t folder_len = strlen(to) - strlen(asked[1]);
    char source[folder_len + strlen(asked[0]) + 1];
    memcpy(source, to, folder_len);
    strcpy(source + folder_len, asked[0]);
    return rename(source, to);
}

// run(raw: bool) -> bool: what a board does between two soft resets; true if the REPL was left in raw mode.
// The same steps as mp_task() of ports/esp32/main.c.
static mp_obj_t device_run(mp_obj_t raw_in) {
    mp_hal_set_interrupt_char(-1);
    // The caller is a function of another module; what runs here lives in __main__.
    mp_obj_dict_t *globals = mp_globals_get();
    mp_obj_dict_t *locals = mp_locals_get();
    mp_globals_set(&MP_STATE_VM(dict_main));
    mp_locals_set(&MP_STATE_VM(dict_main));
    if (mp_obj_is_true(raw_in)) {
        pyexec_mode_kind = PYEXEC_MODE_RAW_REPL;
    }
    int ret = pyexec_file_if_exists("boot.py");
    if (!(ret & PYEXEC_FORCED_EXIT) && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL && ret != 0) {
        ret = pyexec_file_if_exists("main.py");
    }
    while (!(ret & PYEXEC_FORCED_EXIT)) {
        ret = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    }
    mp_globals_set(globals);
    mp_locals_set(locals);
    return mp_obj_new_bool(pyexec_mode_kind == PYEXEC_MODE_RAW_REPL);
}
static MP_DEFINE_CONST_FUN_OBJ_1(device_run_obj, device_run);

static const mp_rom_map_elem_t device_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__device) },
    { MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&device_run_obj) },
};
static MP_DEFINE_CONST_DICT(device_globals, device_globals_table);

const mp_obj_module_t device_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&device_globals,
};
MP_REGISTER_MODULE(MP_QSTR__device, device_module);
