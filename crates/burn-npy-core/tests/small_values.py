"""The values of all 256 bytes of the types of one byte that `ml_dtypes` has.

Prints the lines of `small_values.txt`: `name: value value ...`, in the order of the table in
`src/ml_dtypes.rs`. The values are exact: each is the shortest text that stands for it.
"""

import pathlib
import re

import ml_dtypes
import numpy as np

BYTES = np.arange(256, dtype=np.uint8)


def main():
    table = pathlib.Path(__file__).parent.parent / "src" / "ml_dtypes.rs"
    names = re.findall(r'^ +[A-Z0-9]+ "(\w+)"', table.read_text(), re.MULTILINE)
    dtypes = {}
    for name in ml_dtypes.__all__:
        dtype = getattr(ml_dtypes, name)
        if isinstance(dtype, type) and issubclass(dtype, np.generic):
            dtypes[name] = np.dtype(dtype)
    one_byte = {name for name, dtype in dtypes.items() if dtype.itemsize == 1}
    assert one_byte == set(names), one_byte ^ set(names)
    for name in names:
        values = BYTES.view(dtypes[name])
        floats = values.astype(np.float32)
        # Every way out of a type says the same.
        assert np.array_equal(floats, values.astype(np.float64), equal_nan=True)
        print(f"{name}: {' '.join(repr(float(value)) for value in floats)}")


if __name__ == "__main__":
    main()
