"""Exact interventional Shapley values of a black-box integer function, in integers.

For n features, a row x and baseline rows b_1..b_B, a coalition S of features is worth

    v(S) = mean over b of f(x on S, b elsewhere)

and feature i is given (Shapley 1953; interventional form: Janzing, Minorics and Bloebaum 2020)

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S))

The weight of a coalition of s features is w(s) / D with D = lcm(1..n), the smallest common
denominator, and w(s) = D / (n * C(n - 1, s)). So every phi is an integer over D * B, and nothing is
rounded or sampled. All 2**n coalitions are evaluated per baseline row, in Gray-code order: one
feature changes from one to the next.

While |f| * D * B * 6 stays below 2**30 (int8 functions of up to 10 features and 4 rows by a wide
margin) all arithmetic is in MicroPython's small ints; beyond, it is as exact in big ints.
"""

MAX_FEATURES = 12


class Explanation:
    """Shapley values of one row as integer numerators over one positive `denominator`.

    numerators[i] / denominator: value of feature i, in units of f. base_numerator / denominator:
    mean of f over the baseline rows.  value: f(x), an integer. additivity_error_numerator: sum of
    numerators - (value * denominator - base_numerator), as computed. Anything but 0 means f gave
    two answers for one row.
    """

    def __init__(self, numerators, denominator, base_numerator, value):
        self.numerators = numerators
        self.denominator = denominator
        self.base_numerator = base_numerator
        self.value = value
        self.additivity_error_numerator = sum(numerators) - (value * denominator - base_numerator)

    def values(self) -> list:
        """The values as floats; the integers above are the exact result."""
        return [numerator / self.denominator for numerator in self.numerators]


class Shapley:
    """Explains rows of n_features integers against fixed baseline rows.

    Raises ValueError for no or more than 12 features, no baseline row, or a row of another length.
    """

    def __init__(self, n_features: int, baselines: list):
        if not 1 <= n_features <= MAX_FEATURES:
            raise ValueError("%d features; 1 to %d are supported" % (n_features, MAX_FEATURES))
        if not baselines:
            raise ValueError("no baseline row; give at least one")
        for row in baselines:
            if len(row) != n_features:
                raise ValueError("baseline row of %d items, expected %d" % (len(row), n_features))
        self.n_features = n_features
        self._baselines = [tuple(row) for row in baselines]
        common = 1
        for i in range(2, n_features + 1):
            common = common * i // _gcd(common, i)
        self._common = common
        self.denominator = common * len(baselines)
        weights = []
        choices = 1  # C(n - 1, s)
        for s in range(n_features):
            weights.append(common // (n_features * choices))
            choices = choices * (n_features - 1 - s) // (s + 1)
        # v(S) enters phi_i with +w(s - 1) where i is in S and with -w(s) where it is not. That is
        # (w(s - 1) + w(s)) * v(S) over the coalitions with i, less w(s) * v(S) over all of them.
        without = weights + [0]
        self._all = tuple(without)
        self._with = tuple((without[s - 1] if s else 0) + without[s] for s in range(n_features + 1))

    def explain(self, f, x, buffer):
        """The Explanation of f at row x.

        f: callable without arguments that reads `buffer` and returns an int, the same for the same
        row. x: n_features integers.  buffer: what f reads; its first n_features items are changed,
        what lies behind them is not, and it holds x again afterwards, also when f raises.
        """
        x = tuple(x)  # the caller may pass the buffer itself
        steps = self.steps(x, buffer)
        result = next(steps)
        try:
            while result is None:
                result = steps.send(f())
        finally:
            for i in range(len(x)):
                buffer[i] = x[i]
        return result

    def steps(self, x, buffer):
        """explain() for those who evaluate f themselves, when it suits them: a generator that gives
        None whenever `buffer` holds a row, is sent what f is there, and gives the Explanation last.
        """
        n = self.n_features
        if len(x) != n:
            raise ValueError("row of %d items, expected %d" % (len(x), n))
        weight_all = self._all
        weight_with = self._with
        numerators = [0] * n
        total = base = 0  # total: the sum of w(s) * v(S)
        for row in self._baselines:
            for i in range(n):
                buffer[i] = row[i]
            worth = yield
            base += worth
            total += weight_all[0] * worth
            members = size = 0
            for step in range(1, 1 << n):
                i = 0
                while not step >> i & 1:
                    i += 1
                bit = 1 << i
                members ^= bit
                if members & bit:
                    size += 1
                    buffer[i] = x[i]
                else:
                    size -= 1
                    buffer[i] = row[i]
                if x[i] != row[i]:
                    worth = yield
                total += weight_all[size] * worth
                part = weight_with[size] * worth
                for j in range(n):
                    if members >> j & 1:
                        numerators[j] += part
        for i in range(n):
            buffer[i] = x[i]
        value = yield
        for i in range(n):
            numerators[i] -= total
        yield Explanation(numerators, self.denominator, base * self._common, value)


def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a
