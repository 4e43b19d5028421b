# Dense layers for the ESP32-S2, which has neither MAC16 nor zero-overhead loops.
#
# run(plan) executes a packed plan (plan.inc). Nothing is checked here: kernels/native.py does. All
# kinds of dense layers run alike, with weights read byte by byte. The input is widened to int16, less
# its zero point. The arithmetic is that of DENSE in esp32.s.

# A product of weight \w in a3 and input \x in a13.
.macro product w, x
    l8ui a9, a3, \w
    l16si a10, a13, \x
    sext a9, a9, 7
    mull a9, a9, a10
    add.n a11, a11, a9
.endm

.func run
    l32i a2, a5, 0          # args[0], the plan: an instance of a subclass of bytearray
    l32i a2, a2, 16         # the bytearray in it
    l32i a2, a2, 12         # its items
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
look_up:
    l8ui a11, a13, 0
    addi.n a13, a13, 1
    add.n a11, a11, a12
    l8ui a11, a11, 0
    s8i a11, a6, 0
    addi.n a6, a6, 1
    addi a10, a10, -1
    bnez a10, look_up
    j next_record

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
window_copy:
    l8ui a10, a8, 0
    addi.n a8, a8, 1
    s8i a10, a14, 0
    addi.n a14, a14, 1
    addi a12, a12, -1
    bnez a12, window_copy
    j window_next
outside:
    l32i a10, a2, ZERO_IN
window_fill:
    s8i a10, a14, 0
    addi.n a14, a14, 1
    addi a12, a12, -1
    bnez a12, window_fill
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
    l32i a13, a1, 8
    l32i a4, a2, WIDE
    l32i a7, a2, DEPTH
    l32i a9, a2, ZERO_IN
    mov.n a12, a4
    mov.n a10, a7
widen:
    l8ui a11, a13, 0
    addi.n a13, a13, 1
    sext a11, a11, 7
    sub a11, a11, a9
    s16i a11, a12, 0
    addi.n a12, a12, 2
    addi a10, a10, -1
    bnez a10, widen
    l32i a3, a2, WEIGHTS
    l32i a6, a1, 12
    l32i a8, a2, BIAS
    l32i a14, a2, SCALES
    l32i a0, a2, UNITS
    l32i a15, a2, LOWEST
    srli a5, a7, 3
    extui a7, a7, 0, 3
row:
    l32i.n a11, a8, 0
    addi.n a8, a8, 4
    mov.n a13, a4
    mov.n a12, a5
    beqz a12, rest
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
    addi.n a12, a12, -1
    bnez a12, eight
rest:
    mov.n a12, a7
    beqz a12, requantise
one:
    product 0, 0
    addi.n a3, a3, 1
    addi.n a13, a13, 2
    addi.n a12, a12, -1
    bnez a12, one
requantise:
    l32i.n a9, a14, 0
    l32i.n a12, a14, 4
    bbci a12, 31, no_left
    movi a10, -1
    xor a10, a10, a12
    ssl a10
    sll a11, a11
no_left:
    mulsh a10, a11, a9
    mull a11, a11, a9
    ssai 30
    src a11, a10, a11
    addi.n a11, a11, 1
    srai a11, a11, 1
    bbsi a12, 31, no_right
    extui a10, a11, 31, 1
    sub a11, a11, a10
    ssr a12
    sra a11, a11
    addi.n a11, a11, 1
    srai a11, a11, 1
no_right:
    l32i a10, a2, ZERO_OUT
    l32i a9, a2, HIGHEST
    add.n a11, a11, a10
    max a11, a11, a15
    min a11, a11, a9
    s8i a11, a6, 0
    addi.n a6, a6, 1
    l32i a10, a2, SCALES_STEP
    add.n a14, a14, a10
    addi a0, a0, -1
    bnez a0, row
    l32i a11, a1, 8
    l32i a12, a2, X_STEP
    add.n a11, a11, a12
    s32i a11, a1, 8
    l32i a11, a1, 12
    l32i a12, a2, Y_STEP
    add.n a11, a11, a12
    s32i a11, a1, 12
    l32i a11, a1, 4
    addi a11, a11, -1
    s32i a11, a1, 4
    beqz a11, next_record
    j batch
next_record:
    addi a2, a2, RECORD
    j record

done:
    movi a2, 1              # the small int 0
