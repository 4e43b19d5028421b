# Kernels for the ESP32-S2, which has neither MAC16 nor zero-overhead loops.
#
# All dense rows run alike, with weights read byte by byte and the input widened to int16, less its
# zero point. A strip of a depthwise kernel is three places wide.

.include plan.inc

.macro turns n, name
\name.start:
.endm
.macro again n, name
    addi \n, \n, -1
    bnez \n, \name.start
.endm

.macro widen
    l32i a4, a2, WIDE
    l32i a10, a2, DEPTH
    l32i a9, a2, ZERO_IN
    mov.n a12, a4
    srli a5, a10, 3
    slli a5, a5, 4
    add.n a5, a5, a4            # end of the last whole eight
    turns a10, widen_one
    l8ui a11, a13, 0
    addi.n a13, a13, 1
    sext a11, a11, 7
    sub a11, a11, a9
    s16i a11, a12, 0
    addi.n a12, a12, 2
    again a10, widen_one
    mov.n a7, a12               # end of the row
.endm

# A product of weight \w in a3 and input \x in a13.
.macro product w, x
    l8ui a12, a3, \w
    l16si a15, a13, \x
    sext a12, a12, 7
    mull a12, a12, a15
    add.n a11, a11, a12
.endm
.macro rows
row:
    l32i.n a11, a8, 0
    mov.n a13, a4
    beq a13, a5, rest
eight:
    product 0, 0
    product 1, 2
    product 2, 4
    product 3, 6
    product 4, 8
    product 5, 10
    product 6, 12
    product 7, 14
    addi.n a3, a3, 8
    addi a13, a13, 16
    bne a13, a5, eight
rest:
    beq a13, a7, summed
one:
    product 0, 0
    addi.n a3, a3, 1
    addi.n a13, a13, 2
    bne a13, a7, one
summed:
    l32i a15, a2, LOWEST
    slli a11, a11, 4
    finish_row
    bnez a9, row
.endm

.macro taps_start
    l32i a9, a15, D_SET
    add.n a9, a9, a8
    s32i a9, a15, D_SET_END
.endm
.macro tap at
    l16si a9, a3, \at
    l16si a12, a4, \at
    mull a9, a9, a12
    add.n a11, a11, a9
.endm
.macro taps
    l32i a11, a1, 12
    l32i a4, a15, D_AT_SET
    mov.n a3, a5
strip:
    add.n a8, a4, a7
strip_row:
    tap 0
    tap 2
    tap 4
    addi.n a4, a4, 6
    add.n a3, a3, a10
    bne a4, a8, strip_row
    l32i a9, a15, D_SET_END
    beq a4, a9, taps_done
    l32i a9, a15, D_BACK
    add.n a3, a3, a9
    j strip
taps_done:
.endm
.macro taps_next
.endm

.include xtensa.inc
