"""From readings to forecasts and a score: the feature window and whatever models there are."""

from .features import FeatureWindow

# Samples before the score means anything: until then the window's means and trend are of a few.
WARM = 60
# The sensor behind a feature, besides the case.
NEEDS = {
    "ambient_mc": "ambient",
    "rise_mk": "ambient",
    "power_mw": "power",
    "power_avg_mw": "power",
    "fan_rpm": "fan",
}


class Mind:
    """`cooling` and `anomaly` are models or None. After `observe()`: `fc_off_mc`, `fc_on_mc`,
    `score` (None where there is none) and, where there is no forecast, `no_model`: why.
    """

    def __init__(self, cooling_bundle=None, anomaly_bundle=None, no_model="no model is installed"):
        horizon_s = cooling_bundle.horizon_s if cooling_bundle else 60
        self.window = FeatureWindow(horizon_s)
        self.horizon_s = horizon_s
        self.cooling = None
        self.anomaly = None
        self.explainer = None
        if cooling_bundle:
            from .cooling import Cooling

            self.cooling = Cooling(cooling_bundle, self.window)
        if anomaly_bundle:
            from .anomaly import Anomaly

            self.anomaly = Anomaly(anomaly_bundle, self.window)
        if cooling_bundle or anomaly_bundle:
            from .explainer import Explainer

            self.explainer = Explainer()
        self._why_none = no_model
        self.no_model = no_model
        self._held = [0, 0, 0, 0]  # the last known of case, ambient, power, fan

    def observe(self, sensors, fan_on):
        """Takes one period's readings; the window goes on with the last known for a missing one."""
        held = self._held
        i = 0
        for channel in (sensors.case, sensors.ambient, sensors.power, sensors.fan):
            if channel.value is not None:
                held[i] = channel.value
            i += 1
        if not self.window.count and sensors.case.value is None:
            return
        self.window.push(held[0], held[1], held[2], held[3], fan_on)
        self._run(sensors)

    def _run(self, sensors):
        cooling = self.cooling
        if cooling:
            missing = self._missing(cooling, sensors)
            self.no_model = missing
            if missing:
                cooling.forget()
            else:
                cooling.forecast()
        else:
            self.no_model = self._why_none
        anomaly = self.anomaly
        if anomaly:
            if self.window.count < WARM or self._missing(anomaly, sensors):
                anomaly.forget()
            else:
                anomaly.judge()

    def _missing(self, model, sensors):
        if sensors.case.value is None:
            return "the case temperature is not known"
        for name in model.bundle.names:
            role = NEEDS.get(name)
            if role and getattr(sensors, role).value is None:
                return "%s is not known" % role
        return ""

    def put_out_of_use(self, role, why):
        """From now on there is no model for `role`, "cooling" or "anomaly"; why: for `no_model`."""
        if role == "cooling":
            self._why_none = why
        setattr(self, role, None)

    @property
    def fc_off_mc(self):
        return self.cooling.fc_off_mc if self.cooling else None

    @property
    def fc_on_mc(self):
        return self.cooling.fc_on_mc if self.cooling else None

    @property
    def score(self):
        return self.anomaly.score if self.anomaly else None

    def acted(self, fan_on):
        """What was set after this period's forecasts; the one for it is judged a horizon later."""
        if self.cooling and self.cooling.fc_off_mc is not None:
            self.window.expect(self.cooling.fc_on_mc if fan_on else self.cooling.fc_off_mc)  # type: ignore[arg-type]
