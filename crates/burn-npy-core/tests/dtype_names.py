"""What NumPy makes of strings that stand for a dtype in the header of a `.npy` file.

Prints the lines of `dtype_names.txt`: the string in JSON, two blanks, and the dtype as burn-npy
displays it, `objects`, or `refused`. The answers are those of NumPy 2 on a 64-bit Unix, with
`ml_dtypes` imported.
"""

import json
import string
import sys
import warnings

import ml_dtypes
import numpy as np

MARKS = ["", "<", ">", "=", "|"]
LETTERS = string.ascii_letters + "?"
SIZES = ["0", "1", "2", "3", "4", "5", "8", "12", "16", "24", "32"]
# Names of today, of yesterday, and of nobody.
NAMES = sorted(
    {name for name in np.sctypeDict if isinstance(name, str) and len(name) > 1}
    | set(
        """
        int float complex bool str bytes object unicode string int_ float_ complex_ uint str_
        bytes_ unicode_ string_ void intp uintp longlong ulonglong intc uintc short ushort ubyte
        byte csingle cdouble clongdouble longdouble long ulong longcomplex singlecomplex cfloat
        longfloat object_ object0 bytes0 str0 void0 bool8 bool_ int0 uint0 datetime64 timedelta64
        half single double Float32 FLOAT32 Int64 Bool boolean integer floating number generic
        int128 uint128 float80 float8 int24 float32_t size_t wchar char signed unsigned date
        datetime timedelta tuple list dict None np.float32 numpy.float32
        """.split()
    )
)
UNITS = """
    [Y] [M] [W] [D] [h] [m] [s] [ms] [us] [ns] [ps] [fs] [as] [generic] [3generic] [25us] [1s]
    [01s] [+1s] [-1s] [0s] [2147483647s] [2147483648s] [99999999999999999999s] [s/2] [D/24] [1/2s]
    [] [ ] [s [s]] s [B] [US] [min] [1] [+] [+s] [++1s] [generic1] [\u03bcs] [\u00b5s] [3\u03bcs]
    """.split() + ["[ 1s]", "[ s]", "[s ]", "[1 s]", "[\t2s]", " [s]", "[s] ", "[s]\n"]
ODD = [
    *["", "<", "=", "??", "?1", "f04", "f+4", "f 4", "f\t4", "f4 ", " f4", "< f4", "f4\n", "f-4"],
    *["<<f4", "<>f4", "!f4", "f\u0664", "S05", "S+5", "S 5", "S5 ", "S-1", "S1.0", "S5_0", "S0x5"],
    *["S2147483647", "S2147483648", "U536870911", "U536870912", "V2147483647", "V2147483648"],
    *["S18446744073709551617", "f4294967300", "i4\0", "float32\0", "float32 ", " float32"],
    *["float32[3]", "f4[3]", "3f4", "(2,)f4", "2float32", "f4,i4", "f4, i4", "f4,", "f4;i4"],
    *["float32,int64", "str5", "void8", "ii", "u1u1", "O16", "O 8", "O08", "T16", "\u00e94"],
    *["M 8", "M08", "m+8", "M 8[s]", "c 8", "c016", "b 1", "a 5", "int4[2]", "dtype('float32')"],
]


def spelled(dtype):
    """The dtype as burn-npy displays it."""
    if dtype.subdtype is not None:
        return str((dtype.base.str, dtype.shape))
    if dtype.names is not None:
        return str(dtype.descr)
    if hasattr(ml_dtypes, dtype.name):
        return dtype.name
    return dtype.str


def answer(descr):
    try:
        dtype = np.lib.format.descr_to_dtype(descr)
    except Exception:
        return "refused"
    if dtype.hasobject:
        return "objects"
    # NumPy drops the order of bytes of which it knows nothing, burn-npy keeps it.
    if dtype.kind == "V" and dtype.type is np.void and dtype.names is None and descr[0] in "<>":
        return descr[0] + dtype.str[1:]
    return spelled(dtype)


def main():
    warnings.simplefilter("ignore")
    cases = [mark + letter for letter in LETTERS for mark in MARKS]
    cases += [mark + letter + size for letter in LETTERS for size in SIZES for mark in ["", ">"]]
    cases += [mark + letter + "8" for letter in "ifcSUVO" for mark in MARKS]
    cases += [mark + name for name in NAMES for mark in ["", ">", "|"]]
    for time in ["M8", "<M8", ">m8", "datetime64", ">datetime64", "|timedelta64", "M", "<m"]:
        cases += [time + unit for unit in UNITS]
    cases += ODD
    for descr in dict.fromkeys(cases):
        print(f"{json.dumps(descr)}  {answer(descr)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
