# Kernels for the ESP32-C3 and the ESP32-C6 (RV32IM).
#
# run(plan) executes a packed plan (plan.inc). Nothing is checked here: kernels/native.py does. All
# kinds of dense layers run alike: LB reads unaligned weights and extends their sign. The input is
# widened to int16, less its zero point.

.include plan.inc

# Two products of weights a1 and inputs a2.
.macro two w0, w1, x0, x1
    lb a5, a1, \w0
    lh a6, a2, \x0
    lb a7, a1, \w1
    lh t0, a2, \x1
    mul a5, a5, a6
    mul a7, a7, t0
    add a4, a4, a5
    add a4, a4, a7
.endm

# y at t3 from a4 = 16 * acc, multiplier m and shift = r + 2; a7 is free
.macro requantise m, shift, rounding, lowest, highest
    mulh a4, a4, \m
    srai a7, a4, 31
    andi a7, a7, -8
    add a4, a4, a7
    addi a4, a4, 4
    sra a4, a4, \shift
    add a4, a4, \rounding
    srai a4, a4, 1
    bge a4, \lowest, not_low\@
    mv a4, \lowest
not_low\@:
    bge \highest, a4, not_high\@
    mv a4, \highest
not_high\@:
    sb a4, t3, 0
.endm

# One product of a depthwise strip.
.macro tap at
    lh a5, a2, \at
    lh a6, a3, \at
    mul a5, a5, a6
    add a4, a4, a5
.endm

.func run
    lw a0, a3, 0            # args[0], the plan: an instance of a subclass of bytearray
    lw a0, a0, 16           # the bytearray in it
    lw a0, a0, 12           # its items
    addi sp, sp, -48
    sw s0, sp, 0
    sw s1, sp, 4
    sw s2, sp, 8
    sw s3, sp, 12
    sw s4, sp, 16
    sw s5, sp, 20
    sw s6, sp, 24
    sw s7, sp, 28
    sw s8, sp, 32
    sw s9, sp, 36
    sw s10, sp, 40
    sw s11, sp, 44
record:
    lw a1, a0, KIND
    li a2, END
    beq a1, a2, done
    li a2, LOOKUP
    lw s1, a0, X
    lw s2, a0, Y
    beq a1, a2, lookup
    li a2, DEPTHWISE
    bne a1, a2, layer
    j depthwise

lookup:
    lw a1, a0, WEIGHTS
    lw a2, a0, DEPTH
look_up:
    lbu a3, s1, 0
    addi s1, s1, 1
    add a3, a3, a1
    lbu a3, a3, 0
    sb a3, s2, 0
    addi s2, s2, 1
    addi a2, a2, -1
    bnez a2, look_up
    j next_record

layer:
    lw s0, a0, BATCHES
    lw t6, a0, DEPTH
    lw t5, a0, WIDE
    srli s3, t6, 3
    slli s3, s3, 4
    add s3, s3, t5          # end of the last whole eight
    lw t0, a0, WINDOW
    beqz t0, batch
    lw a1, t0, TOP
    sw a1, t0, AT_TOP
    lw a1, t0, LEFT
    sw a1, t0, AT_LEFT
    lw a1, t0, OUT_W
    sw a1, t0, ROW_LEFT
batch:
    lw t0, a0, WINDOW
    beqz t0, gathered
# ---- gather the window
    mv t1, s1
    lw a1, t0, AT_TOP
    lw a2, t0, KERNEL_H
window_row:
    lw a3, t0, AT_LEFT
    lw a4, t0, KERNEL_W
window_pixel:
    lw a5, t0, CHANNELS
    lw a6, t0, IN_H
    lw a7, t0, IN_W
    bgeu a1, a6, outside        # negative numbers count as large
    bgeu a3, a7, outside
    mul a6, a1, a7
    lw a7, t0, IN_CHANNELS
    add a6, a6, a3
    mul a6, a6, a7
    lw a7, t0, IMAGE
    add a6, a6, a7
window_copy:
    lb a7, a6, 0
    addi a6, a6, 1
    sb a7, t1, 0
    addi t1, t1, 1
    addi a5, a5, -1
    bnez a5, window_copy
    j window_next
outside:
    lw a7, a0, ZERO_IN
window_fill:
    sb a7, t1, 0
    addi t1, t1, 1
    addi a5, a5, -1
    bnez a5, window_fill
window_next:
    lw a7, t0, DILATION_W
    add a3, a3, a7
    addi a4, a4, -1
    bnez a4, window_pixel
    lw a7, t0, DILATION_H
    add a1, a1, a7
    addi a2, a2, -1
    bnez a2, window_row
    lw a3, t0, AT_LEFT
    lw a7, t0, STRIDE_W
    lw a4, t0, ROW_LEFT
    add a3, a3, a7
    addi a4, a4, -1
    bnez a4, same_row
    lw a1, t0, AT_TOP
    lw a7, t0, STRIDE_H
    lw a4, t0, OUT_W
    add a1, a1, a7
    sw a1, t0, AT_TOP
    lw a3, t0, LEFT
same_row:
    sw a3, t0, AT_LEFT
    sw a4, t0, ROW_LEFT
gathered:
    mv a1, s1
    mv a2, t5
    mv a3, t6
    lw a4, a0, ZERO_IN
widen:
    lb a5, a1, 0
    addi a1, a1, 1
    sub a5, a5, a4
    sh a5, a2, 0
    addi a2, a2, 2
    addi a3, a3, -1
    bnez a3, widen
    lw a1, a0, WEIGHTS
    lw t1, a0, BIAS
    lw t2, a0, SCALES
    lw t4, a0, UNITS
    lw s4, a0, ROUNDING
    lw s5, a0, LOWEST
    lw s6, a0, HIGHEST
    mv t3, s2
row:
    mv a2, t5
    lw a4, t1, 0
    addi t1, t1, 4
    beq a2, s3, rest
eight:
    two 0, 1, 0, 2
    two 2, 3, 4, 6
    two 4, 5, 8, 10
    two 6, 7, 12, 14
    addi a1, a1, 8
    addi a2, a2, 16
    bne a2, s3, eight
rest:
    andi a3, t6, 7
    beqz a3, summed
one:
    lb a5, a1, 0
    lh a6, a2, 0
    addi a1, a1, 1
    addi a2, a2, 2
    mul a5, a5, a6
    addi a3, a3, -1
    add a4, a4, a5
    bnez a3, one
summed:
    slli a4, a4, 4
    lw a5, t2, 0
    lw a6, t2, 4
    lw a7, a0, SCALES_STEP
    add t2, t2, a7
    requantise a5, a6, s4, s5, s6
    addi t3, t3, 1
    addi t4, t4, -1
    bnez t4, row
    lw a1, a0, X_STEP
    lw a2, a0, Y_STEP
    add s1, s1, a1
    add s2, s2, a2
    addi s0, s0, -1
    bnez s0, batch
next_record:
    addi a0, a0, RECORD
    j record

.include rv32_depthwise.inc

done:
    lw s0, sp, 0
    lw s1, sp, 4
    lw s2, sp, 8
    lw s3, sp, 12
    lw s4, sp, 16
    lw s5, sp, 20
    lw s6, sp, 24
    lw s7, sp, 28
    lw s8, sp, 32
    lw s9, sp, 36
    lw s10, sp, 40
    lw s11, sp, 44
    addi sp, sp, 48
    li a0, 1                # the small int 0
