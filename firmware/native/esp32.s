# Dense layers for the ESP32 and the ESP32-S3: MAC16 and zero-overhead loops.
#
# run(plan) executes a packed plan (plan.inc). Nothing is checked here: kernels/native.py does.
#
# A word holds four weights, w0 lowest. `word & 0xff00ff00` is w1 and w3 as int16 times 256,
# `(word << 8) & 0xff00ff00` w0 and w2. The input is widened to int16 once per row of inputs, in
# the order 1, 3, 0, 2, less its zero point, padded with zeros to a multiple of 16: weights past the
# row's end are multiplied by 0. The accumulator is 256 times the sum.
#
# MultiplyByQuantizedMultiplier (gemmlowp, TFLite-Micro) of an accumulator acc, a multiplier M and
# a shift right by r:  t = floor((acc * M + 2**30) / 2**31), then t / 2**r, half away from zero.
# NARROW: |acc| < 2**23 and r >= 1, so A = 256 * acc is an int32, and with h = floor(A * M / 2**32)
#   t = floor((h + 64) / 128)
# DENSE: |acc| < 2**30 after a shift to the left, so floor(acc * M / 2**30) is an int32, and
#   t = floor((that + 1) / 2)
# Both:  t / 2**r = floor((floor((t - (t < 0)) / 2**(r - 1)) + 1) / 2).

# ---- pieces

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
.macro load16
    l32i a11, a3, 16
.endm
.macro load20
    l32i a12, a3, 20
.endm
.macro load24
    l32i a11, a3, 24
.endm
.macro load28
    l32i a12, a3, 28
.endm
.macro advance16
    addi a3, a3, 16
.endm
.macro advance32
    addi a3, a3, 32
.endm
.macro nothing
.endm

.macro sixteen
    l32i a11, a3, 0
    products a11, a12, load4
    products a12, a11, load8
    products a11, a12, load12
    products a12, a11, advance16
.endm
.macro thirty_two
    l32i a11, a3, 0
    products a11, a12, load4
    products a12, a11, load8
    products a11, a12, load12
    products a12, a11, load16
    products a11, a12, load20
    products a12, a11, load24
    products a11, a12, load28
    products a12, a11, advance32
.endm

# One row: a11 = 256 * acc, from weights a3, input a4, bias a8, turns a7. m0 holds the input's first
# word before and after: it is there once more behind the padding.
.macro row turn
    l32i.n a11, a8, 0
    addi.n a8, a8, 4
    slli a11, a11, 8
    wsr.acclo a11
    mov.n a13, a4
    loopnez a7, row_end\@
    \turn
row_end\@:
    rsr.acclo a11
.endm

# a11 = t of the multiplier in \m, less 1 where negative
.macro scaled m
    mulsh a11, a11, \m
    addi a11, a11, 64
    srai a11, a11, 7
    extui a12, a11, 31, 1
    sub a11, a11, a12
.endm

# y = clamp(a11 / 2**r + zero point), SAR being r - 1
.macro store
    sra a11, a11
    addi.n a11, a11, 1
    srai a11, a11, 1
    add.n a11, a11, a14
    max a11, a11, a15
    min a11, a11, a0
    s8i a11, a6, 0
    addi.n a6, a6, 1
.endm

.macro to_next_row
    l32i a11, a2, DELTA
    add a3, a3, a11
.endm

.macro narrow_tensor turn, next_row
    l32i a11, a2, SCALES
    l32i a9, a11, 0
    l32i a11, a11, 4
    ssr a11
    l32i a10, a2, UNITS
    add a10, a6, a10
tensor\@:
    row \turn
    scaled a9
    store
    \next_row
    beq a6, a10, tensor_done\@    # its reach is too short to go back
    j tensor\@
tensor_done\@:
    j batch_done
.endm

.macro narrow_channel turn, next_row
    l32i a10, a2, SCALES
    l32i a9, a2, UNITS
    add a9, a6, a9
channel\@:
    row \turn
    l32i.n a12, a10, 4
    ssr a12
    l32i.n a12, a10, 0
    addi.n a10, a10, 8
    scaled a12
    store
    \next_row
    beq a6, a9, channel_done\@
    j channel\@
channel_done\@:
    j batch_done
.endm

.func run
    l32i a2, a5, 0          # args[0], the plan: an instance of a subclass of bytearray
    l32i a2, a2, 16         # the bytearray in it
    l32i a2, a2, 12         # its items
    movi a5, 255
    slli a3, a5, 24
    slli a5, a5, 8
    or a5, a5, a3           # 0xff00ff00
record:
    l32i a3, a2, KIND
    bnez a3, known
    j done
known:
    l32i a13, a2, X
    l32i a6, a2, Y
    bnei a3, LOOKUP, layer
    l32i a12, a2, WEIGHTS
    l32i a10, a2, DEPTH
    .loopalign
    loopnez a10, looked_up
    l8ui a11, a13, 0
    addi.n a13, a13, 1
    add.n a11, a11, a12
    l8ui a11, a11, 0
    s8i a11, a6, 0
    addi.n a6, a6, 1
looked_up:
    j next_record

.balign 4
layer:
    l32i a11, a2, BATCHES
    s32i a11, a1, 4
    s32i a13, a1, 8
    s32i a6, a1, 12
    l32i a15, a2, WINDOW
    beqz a15, batch
    l32i a11, a15, TOP
    s32i a11, a15, AT_TOP
    l32i a11, a15, LEFT
    s32i a11, a15, AT_LEFT
    l32i a11, a15, OUT_W
    s32i a11, a15, ROW_LEFT
batch:
    l32i a15, a2, WINDOW
    beqz a15, gathered
# ---- gather the window
    l32i a14, a1, 8
    l32i a3, a15, AT_TOP
    l32i a4, a15, KERNEL_H
window_row:
    l32i a6, a15, AT_LEFT
    l32i a7, a15, KERNEL_W
window_pixel:
    l32i a12, a15, CHANNELS
    l32i a8, a15, IN_H
    l32i a9, a15, IN_W
    bgeu a3, a8, outside        # negative numbers count as large
    bgeu a6, a9, outside
    mull a8, a3, a9
    l32i a9, a15, IN_CHANNELS
    add a8, a8, a6
    mull a8, a8, a9
    l32i a9, a15, IMAGE
    add a8, a8, a9
    .loopalign
    loopnez a12, window_copied
    l8ui a10, a8, 0
    addi.n a8, a8, 1
    s8i a10, a14, 0
    addi.n a14, a14, 1
window_copied:
    j window_next
outside:
    l32i a10, a2, ZERO_IN
    .loopalign
    loopnez a12, window_filled
    s8i a10, a14, 0
    addi.n a14, a14, 1
window_filled:
window_next:
    l32i a9, a15, DILATION_W
    add a6, a6, a9
    addi a7, a7, -1
    bnez a7, window_pixel
    l32i a9, a15, DILATION_H
    add a3, a3, a9
    addi a4, a4, -1
    bnez a4, window_row
    l32i a6, a15, AT_LEFT
    l32i a9, a15, STRIDE_W
    l32i a7, a15, ROW_LEFT
    add a6, a6, a9
    addi a7, a7, -1
    bnez a7, same_row
    l32i a3, a15, AT_TOP
    l32i a9, a15, STRIDE_H
    l32i a7, a15, OUT_W
    add a3, a3, a9
    s32i a3, a15, AT_TOP
    l32i a6, a15, LEFT
same_row:
    s32i a6, a15, AT_LEFT
    s32i a7, a15, ROW_LEFT
gathered:
# ---- widen the input
    l32i a13, a1, 8
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
    .loopalign
    loopnez a10, widened
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
widened:
    extui a10, a6, 0, 2
    beqz a10, all_wide
.macro widen from, to
    l8ui a11, a13, \from
    sext a11, a11, 7
    sub a11, a11, a4
    s16i a11, a12, \to
.endm
    widen 0, 4
    beqi a10, 1, all_wide
    widen 1, 0
    beqi a10, 2, all_wide
    widen 2, 6
all_wide:
    l32i a4, a2, WIDE
    l32i a11, a4, 0
    s32i a11, a14, 32
    l32i a3, a2, WEIGHTS
    l32i a6, a1, 12
    l32i a8, a2, BIAS
    addi a4, a4, -4
    ldinc m0, a4
    l32i a14, a2, ZERO_OUT
    l32i a15, a2, LOWEST
    l32i a0, a2, HIGHEST
    l32i a11, a2, KIND
    l32i a10, a2, DELTA
    beqi a11, NARROW, narrow
    beqi a11, NARROW_CHANNEL, narrow_by_channel
    j dense
narrow:
    bnez a10, narrow_delta
    bbsi a7, 0, narrow_odd
    srli a7, a7, 1
    j tensor
narrow_odd:
    j tensor_odd
narrow_delta:
    j tensor_delta
narrow_by_channel:
    bnez a10, narrow_channel_delta
    bbsi a7, 0, narrow_channel_odd
    srli a7, a7, 1
    j channel
narrow_channel_odd:
    j channel_odd
narrow_channel_delta:
    j channel_delta

# ---- any row: unaligned weights by SRC, 40 bits of accumulator, any shift
.balign 4
dense:
    l32i a14, a2, SCALES
    l32i a0, a2, UNITS
dense_row:
    movi.n a11, 0
    wsr.acclo a11
    wsr.acchi a11
    mov.n a13, a4
    ssa8l a3
    srli a12, a3, 2
    slli a12, a12, 2
    l32i.n a10, a12, 0
    .loopalign
    loopnez a7, dense_dot
.macro shifted next, last, offset
    l32i \next, a12, \offset
    src a9, \next, \last
    products a9, \last, nothing
.endm
    shifted a11, a10, 4
    shifted a10, a11, 8
    shifted a11, a10, 12
    shifted a10, a11, 16
    addi a12, a12, 16
dense_dot:
    rsr.acclo a9
    rsr.acchi a10
    ssai 8
    src a9, a10, a9
    l32i a10, a8, 0
    add a9, a9, a10
    l32i a11, a14, 0
    l32i a12, a14, 4
    bbci a12, 31, no_left
    movi a10, -1
    xor a10, a10, a12
    ssl a10
    sll a9, a9
no_left:
    mulsh a10, a9, a11
    mull a9, a9, a11
    ssai 30
    src a9, a10, a9
    addi a9, a9, 1
    srai a9, a9, 1
    bbsi a12, 31, no_right
    extui a10, a9, 31, 1
    sub a9, a9, a10
    ssr a12
    sra a9, a9
    addi a9, a9, 1
    srai a9, a9, 1
no_right:
    l32i a10, a2, ZERO_OUT
    add a9, a9, a10
    l32i a10, a2, HIGHEST
    max a9, a9, a15
    min a9, a9, a10
    s8i a9, a6, 0
    addi a6, a6, 1
    addi a8, a8, 4
    l32i a10, a2, SCALES_STEP
    add a14, a14, a10
    l32i a10, a2, DEPTH
    add a3, a3, a10
    addi a0, a0, -1
    beqz a0, batch_done
    j dense_row

batch_done:
    l32i a11, a1, 8
    l32i a12, a2, X_STEP
    add a11, a11, a12
    s32i a11, a1, 8
    l32i a11, a1, 12
    l32i a12, a2, Y_STEP
    add a11, a11, a12
    s32i a11, a1, 12
    l32i a11, a1, 4
    addi a11, a11, -1
    s32i a11, a1, 4
    beqz a11, next_record
    j batch
next_record:
    addi a2, a2, RECORD
    j record

# ---- aligned rows, small accumulators
.balign 4
tensor:
    narrow_tensor thirty_two, nothing
.balign 4
channel:
    narrow_channel thirty_two, nothing
.balign 4
tensor_odd:
    narrow_tensor sixteen, nothing
.balign 4
channel_odd:
    narrow_channel sixteen, nothing
.balign 4
tensor_delta:
    narrow_tensor sixteen, to_next_row
.balign 4
channel_delta:
    narrow_channel sixteen, to_next_row

done:
    movi a2, 1              # the small int 0
