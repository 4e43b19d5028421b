"""A model bundle on flash: /models/<role>/{manifest.json, model.tflite}, checked before it is used.

The checks, in order: the manifest is whole, the file has its checksum, the features exist, the
engine supports the operators, the shapes fit, and the golden rows come out equal, bit for bit.
"""

import binascii
import hashlib
import json
import os

from agent.plain import copy

from . import golden
from .engine import Model, ModelError
from .features import FeatureWindow

ROOT = "/models"
COOLING = "cooling"
ANOMALY = "anomaly"
MAX_MANIFEST = 8192
MAX_EVALUATIONS = 2048  # of one explanation: baseline rows * 2 ** features


_COMMON = ("role", "name", "folder", "specs", "names", "baseline", "file", "model")
_OF_ROLE = {
    COOLING: ("horizon_s", "off_q", "on_q", "scale_num", "scale_shift"),
    ANOMALY: ("threshold", "hold", "in_mul", "out_mul", "shift"),
}


class BundleError(Exception):
    """The bundle must not be used; the message says why and names what to deploy again."""


class NoBundleError(BundleError):
    """There is none for that role."""


class _Bundle:
    def __init__(self, folder, role, max_arena_bytes=16384):
        manifest = _manifest(folder + "/manifest.json")
        path = folder + "/model.tflite"
        self.folder = folder
        self.role = _member(manifest, "role", str)
        if self.role != role:
            raise BundleError("%s is for the role %r" % (folder, self.role))
        self.name = "%s@%d" % (_member(manifest, "id", str), _member(manifest, "version", int))
        self.specs = [_spec(row) for row in _member(manifest, "features", list)]
        self.names = [spec[0] for spec in self.specs]
        self.baseline = [golden.bytes_of(row) for row in _member(manifest, "baseline", list)]
        self._check_baseline()
        if role == COOLING:
            self._read_cooling(manifest)
        else:
            self._read_anomaly(manifest)
        self.file = _file(path, _member(manifest, "bytes", int), _member(manifest, "sha256", str))
        listed = _member(manifest, "golden", list)
        manifest = None
        try:
            self.model = Model(self.file, max_arena_bytes, keep_inputs=True)
        except ModelError as error:
            raise BundleError("%s: %s" % (self.name, error))
        self._check_shapes()
        self._check_golden(listed)

    def _check_baseline(self):
        n = len(self.specs)
        rows = len(self.baseline)
        if not 1 <= n <= 12 or not 1 <= rows <= 4 or rows << n > MAX_EVALUATIONS:
            raise BundleError(
                "%s: %d features and %d baseline rows are more than a board explains"
                % (self.name, n, rows)
            )
        for row in self.baseline:
            if len(row) != n:
                raise BundleError("%s: a baseline row does not have %d items" % (self.name, n))

    def _read_cooling(self, manifest):
        self.horizon_s = _member(manifest, "horizon_s", int)
        self.off_q = self.on_q = None
        for action in _member(manifest, "actions", list):
            q = golden.int8(_member(action, "q", int))
            if _member(action, "fan", int):
                self.on_q = q
            else:
                self.off_q = q
        if self.off_q is None or self.on_q is None:
            raise BundleError(
                "%s: it needs an action with the fan off and one with it on" % self.name
            )
        output = _member(manifest, "output", dict)
        self.scale_num = _member(output, "scale_num", int)
        self.scale_shift = _member(output, "scale_shift", int)
        if not 1 <= self.horizon_s <= 600 or not 0 <= self.scale_shift <= 24:
            raise BundleError("%s: horizon or output scale out of range" % self.name)

    def _read_anomaly(self, manifest):
        self.threshold = _member(manifest, "threshold", int)
        self.hold = _member(manifest, "hold", int)
        diff = _member(manifest, "diff", dict)
        self.in_mul = _member(diff, "in_mul", int)
        self.out_mul = _member(diff, "out_mul", int)
        self.shift = _member(diff, "shift", int)
        if not 1 <= self.hold <= 3600 or not 0 <= self.shift <= 24:
            raise BundleError("%s: hold or shift out of range" % self.name)

    def _check_shapes(self):
        model = self.model
        n = len(self.specs)
        inputs, outputs = (n + 1, 1) if self.role == COOLING else (n, n)
        if model.input_dtype != ["b"] or model.output_dtype != ["b"]:
            raise BundleError("%s: one int8 input and one int8 output are needed" % self.name)
        if len(model.inputs[0]) != inputs or len(model.outputs[0]) != outputs:
            raise BundleError(
                "%s: the model has %d inputs and %d outputs, %d and %d are needed"
                % (self.name, len(model.inputs[0]), len(model.outputs[0]), inputs, outputs)
            )

    def _check_golden(self, listed):
        for row in golden.rows(listed, self.model):
            wrong = golden.difference(self.model, row)
            if wrong:
                raise BundleError(
                    "%s: a golden row gives %d, not %d: the board computes otherwise"
                    % ((self.name,) + wrong)
                )


def load(role, root=ROOT):
    """The checked bundle of a role. Raises BundleError, NoBundleError where there is none.

    `name` is "id@version"; `folder` says where it lies; `specs` has (name, offset, mul, shift) of
    each feature, `names` its names; `baseline` has the Shapley baseline rows; `file` the bytes of
    the .tflite file, which `model` works on. `cooling` has `horizon_s`, `off_q`, `on_q`,
    `scale_num` and `scale_shift`; `anomaly` `threshold`, `hold`, `in_mul`, `out_mul` and `shift`.
    """
    folder = root + "/" + role
    try:
        os.stat(folder + "/manifest.json")
    except OSError:
        raise NoBundleError("no %s model is installed" % role)
    try:
        return copy(_Bundle(folder, role), _COMMON + _OF_ROLE[role])
    except OSError as error:
        raise BundleError("%s cannot be read: %s" % (folder, error))
    except ValueError as error:
        raise BundleError("%s: %s" % (folder, error))


def _manifest(path):
    size = os.stat(path)[6]
    if size > MAX_MANIFEST:
        raise BundleError("%s has %d bytes, at most %d fit" % (path, size, MAX_MANIFEST))
    try:
        with open(path) as file:
            manifest = json.load(file)
    except (ValueError, RuntimeError):
        raise BundleError("%s is not JSON" % path)
    if not isinstance(manifest, dict) or manifest.get("format") != 1:
        raise BundleError("%s is not a manifest of format 1" % path)
    return manifest


def _member(obj, key, kind):
    value = obj.get(key) if isinstance(obj, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError("manifest: %s is missing or not of the right kind" % key)
    return value


def _spec(row):
    name = _member(row, "name", str)
    mul = _member(row, "mul", int)
    shift = _member(row, "shift", int)
    if not FeatureWindow.known(name):
        raise BundleError("this firmware has no feature %r" % name)
    if not -4096 < mul < 4096 or not 1 <= shift <= 29:
        raise BundleError("feature %s: mul or shift out of range" % name)
    return name, _member(row, "offset", int), mul, shift


def _file(path, size, sha256):
    """The bytes of the file the manifest names, in one allocation of exactly their size."""
    if os.stat(path)[6] == size:
        data = bytearray(size)
        with open(path, "rb") as file:
            if file.readinto(data) == size:
                digest = hashlib.sha256(data).digest()
                if binascii.hexlify(digest).decode() == sha256:
                    return data
    raise BundleError("%s is not the file its manifest names: deploy the bundle again" % path)
