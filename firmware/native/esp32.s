# Kernels for the ESP32 and the ESP32-S3: MAC16 and zero-overhead loops.
#
# A word holds four weights, w0 lowest. `word & 0xff00ff00` is w1 and w3 as int16 times 256,
# `(word << 8) & 0xff00ff00` w0 and w2. The input is widened to int16 once per row of inputs, in
# the order 1, 3, 0, 2, less its zero point, padded with zeros to a multiple of 16: weights past the
# row's end are multiplied by 0. The accumulator, of 40 bits, is 256 times the sum.
#
# A strip of a depthwise kernel is two words in each row. Words are read at even places only, so there
# is a second set of weights behind the first, one place to the right, for places at odd columns.

.include plan.inc

.macro turns n, name
    .loopalign
    loopnez \n, \name.end
.endm
.macro again n, name
\name.end:
.endm

# Four products from the word in \w; \o is a temporary. The word after it is loaded into \o by
# \next while the last two products run.
.macro products w, o, next
    and \o, \w, a5
    slli \w, \w, 8
    mula.da.ll.ldinc m1, a13, m0, \o
    and \w, \w, a5
    mula.da.hh m0, \o
    \next
    mula.da.ll.ldinc m0, a13, m1, \w
    mula.da.hh m1, \w
.endm
.macro load4
    l32i a12, a3, 4
.endm
.macro load8
    l32i a11, a3, 8
.endm
.macro load12
    l32i a12, a3, 12
.endm
.macro advance
    addi a3, a3, 16
.endm
.macro nothing
.endm

# ---- an input row to int16, its first word once more behind the padding
.macro widen_one from, to
    l8ui a11, a13, \from
    sext a11, a11, 7
    sub a11, a11, a4
    s16i a11, a12, \to
.endm
.macro widen
    l32i a12, a2, WIDE
    l32i a7, a2, TURNS
    l32i a6, a2, DEPTH
    l32i a4, a2, ZERO_IN
    slli a11, a7, 5
    add a11, a11, a12
    addi a11, a11, -32
    movi.n a10, 0
    s32i a10, a11, 0
    s32i a10, a11, 4
    s32i a10, a11, 8
    s32i a10, a11, 12
    s32i a10, a11, 16
    s32i a10, a11, 20
    s32i a10, a11, 24
    s32i a10, a11, 28
    mov.n a14, a11
    srli a10, a6, 2
    turns a10, widen_four
    l8ui a11, a13, 0
    l8ui a10, a13, 1
    l8ui a9, a13, 2
    l8ui a8, a13, 3
    sext a11, a11, 7
    sext a10, a10, 7
    sext a9, a9, 7
    sext a8, a8, 7
    sub a11, a11, a4
    sub a10, a10, a4
    sub a9, a9, a4
    sub a8, a8, a4
    s16i a11, a12, 4
    s16i a10, a12, 0
    s16i a9, a12, 6
    s16i a8, a12, 2
    addi.n a13, a13, 4
    addi.n a12, a12, 8
    again a10, widen_four
    extui a10, a6, 0, 2
    beqz a10, all_wide
    widen_one 0, 4
    beqi a10, 1, all_wide
    widen_one 1, 0
    beqi a10, 2, all_wide
    widen_one 2, 6
all_wide:
    l32i a4, a2, WIDE
    l32i a11, a4, 0
    s32i a11, a14, 32
    addi a4, a4, -4
    ldinc m0, a4
    movi a5, 255
    slli a11, a5, 24
    slli a5, a5, 8
    or a5, a5, a11          # 0xff00ff00
.endm

# ---- a row of weights; m0 holds the input's first word before and after
.macro shifted next, last, offset
    l32i \next, a12, \offset
    src a15, \next, \last
    products a15, \last, nothing
.endm
.macro row_starts
    l32i.n a12, a8, 0
    mov.n a13, a4
    slli a11, a12, 8
    wsr.acclo a11
    srai a12, a12, 24
    wsr.acchi a12
.endm
.macro row_ends
    rsr.acclo a11
    rsr.acchi a12
    ssai 4
    src a11, a12, a11
    l32i a12, a2, DELTA
    add.n a3, a3, a12
    finish_row
.endm
.macro rows
    l32i a11, a2, KIND
    beqz a11, unaligned         # DENSE
row:
    row_starts
    turns a7, aligned
    l32i a11, a3, 0
    products a11, a12, load4
    products a12, a11, load8
    products a11, a12, load12
    products a12, a11, advance
    again a7, aligned
    row_ends
    bnez a9, row
    j rows_done
unaligned:
    row_starts
    ssa8l a3
    srli a12, a3, 2
    slli a12, a12, 2
    l32i.n a0, a12, 0
    turns a7, unaligned_dot
    shifted a11, a0, 4
    shifted a0, a11, 8
    shifted a11, a0, 12
    shifted a0, a11, 16
    addi a12, a12, 16
    again a7, unaligned_dot
    slli a12, a7, 4
    add.n a3, a3, a12
    l32i a15, a2, LOWEST
    l32i a0, a2, HIGHEST
    row_ends
    bnez a9, unaligned
.endm

# ---- depthwise
.macro taps_start
    addi a5, a5, -4
    addi a8, a8, -4
    l32i a9, a15, D_SET
    add.n a9, a9, a8
    xor a9, a9, a8              # from one set of weights to the other
.endm
.macro taps
    l32i a12, a1, 12
    srli a3, a5, 2
    slli a3, a3, 2
    wsr.acclo a12
    mov.n a4, a8
    l32i a12, a15, D_STRIPS
    ldinc m2, a4
strip:
    ldinc m0, a3
    turns a7, strip_rows
    mula.dd.ll.ldinc m1, a3, m0, m2
    mula.dd.hh.ldinc m3, a4, m0, m2
    add.n a3, a3, a10
    mula.dd.ll.ldinc m0, a3, m1, m3
    mula.dd.hh.ldinc m2, a4, m1, m3
    again a7, strip_rows
    addi a12, a12, -1
    beqz a12, strips_done
    l32i a11, a15, D_BACK
    add.n a3, a3, a11
    j strip
strips_done:
    rsr.acclo a11
.endm
.macro taps_next
    xor a8, a8, a9
.endm

.include xtensa.inc
