"""Changes of files: of their bytes, of what is packed in them, of the values of a JSON document."""

import gzip
import json
import random
import zlib

import numpy as np

# Numbers at which readers break, as a JSON value and (the integers) in the bytes of a header.
NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 10**30)
REALS = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-300, 1e300, 0.05, 1e-45, -1.5)
VALUES = (*NUMBERS, *REALS, None, True, "", "a" * 5000, "../../x", "/etc/passwd", "\x00", [], {}, [[]], {"a": 1})


def mutate_bytes(content: bytes, chance: random.Random, head: int = 400) -> bytes:
    """One to six changes: bytes, whole numbers, reals, cuts, repeats; half of them in the first ``head`` bytes."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not data:
            break
        end = min(head, len(data)) if chance.random() < 0.5 else len(data)
        at = chance.randrange(end)
        kind = chance.randrange(8)
        if kind < 2:
            data[at] = chance.randrange(256)
        elif kind == 2:
            data[at] ^= 1 << chance.randrange(8)
        elif kind < 5:
            size, order = chance.choice((1, 2, 4, 8)), chance.choice(("little", "big"))
            data[at : at + size] = (chance.choice(NUMBERS) % 256**size).to_bytes(size, order)
        elif kind == 5:
            dtype = chance.choice(("<f4", ">f4", "<f8", ">f8"))
            with np.errstate(over="ignore"):
                value = np.float64(chance.choice(REALS)).astype(dtype).tobytes()
            data[at : at + len(value)] = value
        elif kind == 6:
            del data[at : at + chance.choice((1, 2, 4, 16, len(data)))]
        else:
            data[at:at] = data[at : at + chance.choice((1, 4, 64))]
    return bytes(data)


def mutate_gzip(content: bytes, chance: random.Random) -> bytes:
    """Two thirds of the changes inside the packed content, one third in the packed bytes."""
    if chance.random() < 0.33:
        return mutate_bytes(content, chance)
    packed = gzip.compress(mutate_bytes(gzip.decompress(content), chance), compresslevel=1)
    tail = chance.choice((b"", b"", b"", bytes(16), packed, b"tail"))
    return packed + tail


def mutate_json(content: bytes, chance: random.Random) -> bytes:
    """Three quarters changed values of the parsed document, one quarter changed bytes."""
    if chance.random() < 0.25:
        return mutate_bytes(content, chance)
    data = json.loads(content)
    for _ in range(chance.randint(1, 3)):
        data = _with_changed_value(data, chance)
    return json.dumps(data).encode()


def _with_changed_value(data, chance):
    """The document with one value, anywhere in it, replaced, removed, renamed or nested."""
    if isinstance(data, dict) and data and chance.random() < 0.9:
        key = chance.choice(list(data))
        changed = dict(data)
        if chance.random() < 0.1:
            changed[key + "x"] = changed.pop(key)
        elif chance.random() < 0.1:
            del changed[key]
        else:
            changed[key] = _with_changed_value(data[key], chance)
        return changed
    if isinstance(data, list) and data and chance.random() < 0.8:
        index = chance.randrange(len(data))
        if chance.random() < 0.2:
            return data[:index] + data[index + 1 :]
        return [*data[:index], _with_changed_value(data[index], chance), *data[index + 1 :]]
    return [data] if chance.random() < 0.1 else chance.choice(VALUES)


def mutate_png(content: bytes, chance: random.Random) -> bytes:
    """Three quarters with check sums made right again, so that the changes reach the decoder."""
    changed = mutate_bytes(content, chance, head=60)
    if chance.random() < 0.25:
        return changed
    parts, place = [changed[:8]], 8
    while place + 8 <= len(changed):
        length = int.from_bytes(changed[place : place + 4], "big")
        body = changed[place + 4 : place + 8 + length]
        parts += [len(body[4:]).to_bytes(4, "big"), body, zlib.crc32(body).to_bytes(4, "big")]
        place += 12 + length
    return b"".join(parts)
