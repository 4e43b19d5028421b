"""What the engine costs, per kernel set and operator.

    python -m benchmarks.engine [--models FOLDER of *_int8.tflite] [--only CONV_2D]

- Time of one invoke on the MicroPython VM (portable and viper kernels), on CPython, and of
  TFLite-Micro's C++ in the same run, for whole models and operator by operator. Best of several
  rounds, so that other work on the machine matters less. The VM runs on this machine's processor:
  ratios carry over to a board roughly, microseconds do not.
- Instructions of the native kernels, counted by running their assembled code one instruction at a
  time on the plans the VM makes of the models.
- Instructions on emulated chips, everything from the call of invoke() on included, where
  FANWISE_ESP32_EMULATOR names an emulator (benchmarks/chip.py). Instructions are not cycles.
- emlearn's CNN module beside the engine, where FANWISE_EMLEARN names a folder with it (emlearn.py).
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MODELS = ("hello_world", "ad01", "kws_ref_model")
