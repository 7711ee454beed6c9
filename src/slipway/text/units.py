"""Units that quantities are written in, in English and Chinese: what each is in the base unit of its kind. A table.

Prefixes of bytes are powers of 1000 (kB, KB, MB) or, with an i, of 1024 (KiB). No currency is changed into another.
`¥` and 元 are yuan.
"""

from __future__ import annotations

from fractions import Fraction

_KINDS: dict[str, dict[str, Fraction | int]] = {
    "%": {"%": Fraction(1, 100), "percent": Fraction(1, 100), "per cent": Fraction(1, 100), "‰": Fraction(1, 1000)},
    "percentage point": {"percentage points": 1, "percentage point": 1, "个百分点": 1},
    "byte": {"B": 1, "byte": 1, "bytes": 1, "字节": 1}
    | {f"{prefix}B": 1000**n for n, prefix in enumerate("KMGTP", 1)}
    | {f"{prefix}iB": 1024**n for n, prefix in enumerate("KMGTP", 1)}
    | {"kB": 1000, "kilobytes": 1000, "megabytes": 10**6, "gigabytes": 10**9, "terabytes": 10**12},
    "bit": {"bit": 1, "bits": 1, "比特": 1, "kbit": 1000, "Mbit": 10**6, "Gbit": 10**9},
    "second": {
        "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "秒": 1, "秒钟": 1,
        "ms": Fraction(1, 1000), "millisecond": Fraction(1, 1000), "milliseconds": Fraction(1, 1000),
        "毫秒": Fraction(1, 1000), "µs": Fraction(1, 10**6), "us": Fraction(1, 10**6), "微秒": Fraction(1, 10**6),
        "ns": Fraction(1, 10**9), "min": 60, "mins": 60, "minute": 60, "minutes": 60, "分钟": 60,
        "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "小时": 3600, "个小时": 3600,
        "day": 86400, "days": 86400, "天": 86400, "week": 604800, "weeks": 604800, "周": 604800, "星期": 604800,
    },
    "month": {"month": 1, "months": 1, "个月": 1},
    "year": {"year": 1, "years": 1, "年": 1},
    "metre": {
        "m": 1, "metre": 1, "metres": 1, "meter": 1, "meters": 1, "米": 1, "km": 1000, "kilometres": 1000,
        "kilometers": 1000, "公里": 1000, "千米": 1000, "cm": Fraction(1, 100), "厘米": Fraction(1, 100),
        "mm": Fraction(1, 1000), "毫米": Fraction(1, 1000), "µm": Fraction(1, 10**6), "微米": Fraction(1, 10**6),
        "nm": Fraction(1, 10**9), "纳米": Fraction(1, 10**9), "ft": Fraction(3048, 10000),
        "feet": Fraction(3048, 10000),
        "foot": Fraction(3048, 10000), "inch": Fraction(254, 10000), "inches": Fraction(254, 10000),
        "mile": Fraction(1609344, 1000), "miles": Fraction(1609344, 1000),
    },
    "gram": {
        "g": 1, "gram": 1, "grams": 1, "克": 1, "kg": 1000, "kilogram": 1000, "kilograms": 1000, "公斤": 1000,
        "千克": 1000, "斤": 500, "mg": Fraction(1, 1000), "毫克": Fraction(1, 1000), "t": 10**6, "tonne": 10**6,
        "tonnes": 10**6, "吨": 10**6, "lb": Fraction(45359237, 100000), "lbs": Fraction(45359237, 100000),
    },
    "hertz": {"Hz": 1, "kHz": 1000, "MHz": 10**6, "GHz": 10**9, "赫兹": 1, "兆赫": 10**6},
    "watt": {"W": 1, "kW": 1000, "MW": 10**6, "瓦": 1, "千瓦": 1000},
    "°C": {"°C": 1, "摄氏度": 1, "degrees Celsius": 1},
    "°F": {"°F": 1, "华氏度": 1, "degrees Fahrenheit": 1},
    "CNY": {"CNY": 1, "RMB": 1, "¥": 1, "元": 1, "元人民币": 1, "人民币": 1, "yuan": 1, "角": Fraction(1, 10)},
    "USD": {"USD": 1, "US$": 1, "$": 1, "dollar": 1, "dollars": 1, "美元": 1, "US dollars": 1},
    "EUR": {"EUR": 1, "€": 1, "euro": 1, "euros": 1, "欧元": 1},
    "GBP": {"GBP": 1, "£": 1, "英镑": 1},
    "JPY": {"JPY": 1, "yen": 1, "日元": 1, "円": 1},
}  # fmt: skip

UNITS: dict[str, tuple[str, Fraction]] = {
    name: (kind, Fraction(factor)) for kind, names in _KINDS.items() for name, factor in names.items()
}
# Where case is all that tells two units apart (`MB`, `Mb`), only the exact name counts.
ANY_CASE: dict[str, tuple[str, Fraction]] = {name.lower(): unit for name, unit in UNITS.items() if len(name) > 2}
MONEY = ("US$", "$", "€", "£", "¥", "USD", "EUR", "GBP", "JPY", "CNY", "RMB", "人民币")
MULTIPLIERS: dict[str, int] = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "k": 1000, "K": 1000,
    "mn": 10**6, "bn": 10**9, "百": 100, "千": 1000, "万": 10**4, "十万": 10**5, "百万": 10**6, "千万": 10**7,
    "亿": 10**8, "十亿": 10**9, "百亿": 10**10, "千亿": 10**11, "万亿": 10**12,
}  # fmt: skip
