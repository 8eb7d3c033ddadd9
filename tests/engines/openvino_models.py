# SPDX-License-Identifier: Apache-2.0
"""Small models in the formats that OpenVINO reads, written byte by byte: what would write them
otherwise is hundreds of megabytes. The standard library is enough."""

import struct

# ---- OpenVINO's own: a file of XML, and one of weights ----

SIZES = {"boolean": 1, "u8": 1, "i8": 1, "u16": 2, "i16": 2, "f16": 2, "bf16": 2, "u32": 4,
         "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}


class Ir:
    """`ir.input(…)` and the like give layers their numbers, and these are what others take."""

    def __init__(self):
        self.layers, self.edges, self.ports, self.weights = [], [], [], b""

    def layer(self, kind, inputs=(), version="opset1", names="", ports=1, **data):
        number = len(self.layers)
        taken = "".join(f'<port id="{i}" precision="FP32"/>' for i in range(len(inputs)))
        given = "".join(f'<port id="{len(inputs) + i}" precision="FP32"{names}/>'
                        for i in range(ports))
        told = "".join(f' {key}="{value}"' for key, value in data.items())
        self.layers.append(
            f'<layer id="{number}" name="l{number}" type="{kind}" version="{version}">'
            f"<data{told}/><input>{taken}</input><output>{given}</output></layer>")
        for place, source in enumerate(inputs):
            source, port = source if isinstance(source, tuple) else (source, self.ports[source])
            self.edges.append(f'<edge from-layer="{source}" from-port="{port}" '
                              f'to-layer="{number}" to-port="{place}"/>')
        self.ports.append(len(inputs))
        return number

    def input(self, shape, dtype="f32", name=None):
        names = f' names="{name}"' if name else ""
        return self.layer("Parameter", names=names, shape=",".join(map(str, shape)),
                          element_type=dtype)

    def constant(self, shape, data, dtype="f32"):
        offset = len(self.weights)
        self.weights += data
        return self.layer("Const", element_type=dtype, shape=",".join(map(str, shape)),
                          offset=offset, size=len(data))

    def output(self, source):
        return self.layer("Result", [source], ports=0)

    def text(self):
        return (f'<?xml version="1.0"?><net name="test" version="11"><layers>'
                f'{"".join(self.layers)}</layers><edges>{"".join(self.edges)}</edges></net>')

    def write(self, path):
        path.write_text(self.text())
        path.with_suffix(".bin").write_bytes(self.weights)
        return path


def ir_linear(path, weights, rows="?"):
    """`y` = `x` W, W of 4 × 3 numbers."""
    ir = Ir()
    x = ir.input([rows, 4], name="x")
    w = ir.constant([4, 3], struct.pack("<12f", *weights))
    ir.output(ir.layer("MatMul", [x, w], names=' names="y"', transpose_a="false",
                       transpose_b="false"))
    return ir.write(path)


def ir_same(path, dtype, shape=("?", 3)):
    """`y` is `x` turned round twice, so that it is not just the same memory."""
    ir = Ir()
    x = ir.input(shape, dtype, name="x")
    order = ir.constant([2], struct.pack("<2q", 1, 0), "i64")
    turned = ir.layer("Transpose", [x, order])
    ir.output(ir.layer("Transpose", [turned, order], names=' names="y"'))
    return ir.write(path)


# ---- TensorFlow's folder ----

def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    """Of a protobuf message: an int, or bytes or a text with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(key, value):
    return field(1, key) + field(2, value)


TF_FLOAT = 1


def tf_shape(shape):
    return b"".join(field(2, field(1, size)) for size in shape)


def tf_node(name, op, *inputs, **attributes):
    node = field(1, name) + field(2, op) + b"".join(field(3, i) for i in inputs)
    for key, value in {"T": field(6, TF_FLOAT), **attributes}.items():
        if value:
            node += field(5, entry(key, value))
    return field(1, node)


def saved_model(folder, weights):
    """A signature in which `row` becomes `result` = row W, W of 4 × 3 numbers."""
    tensor = (field(1, TF_FLOAT) + field(2, tf_shape([4, 3]))
              + field(4, struct.pack("<12f", *weights)))
    kind = field(6, TF_FLOAT)
    graph = (tf_node("serving_default_row", "Placeholder", T=b"", dtype=kind,
                     shape=field(7, tf_shape([-1, 4])))
             + tf_node("weights", "Const", T=b"", dtype=kind, value=field(8, tensor))
             + tf_node("product", "MatMul", "serving_default_row", "weights",
                       transpose_a=field(5, 0), transpose_b=field(5, 0))
             + field(4, field(1, 27)))

    def about(name, shape):
        return field(1, name) + field(2, TF_FLOAT) + field(3, tf_shape(shape))

    signature = (field(1, entry("row", about("serving_default_row:0", [-1, 4])))
                 + field(2, entry("result", about("product:0", [-1, 3])))
                 + field(3, "tensorflow/serving/predict"))
    meta = (field(1, field(4, "serve") + field(5, "2.21.0")) + field(2, graph)
            + field(5, entry("serving_default", signature)))
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, meta))
    return folder / "saved_model.pb"


# ---- TensorFlow Lite ----

class Table:
    """Of a flatbuffer: fields by their numbers, each a packed number, a Table, a list, or bytes."""

    def __init__(self, **fields):
        self.fields = {int(key[1:]): value for key, value in fields.items()}


def put(out, at, value):
    """Appends what is too large to be in place, and puts its distance there."""
    out += b"\0" * (-len(out) % 16)
    if isinstance(value, Table):
        place = put_table(out, value)
    elif isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else value.encode()
        place = len(out)
        out += struct.pack("<I", len(data)) + data + b"\0"
    else:
        place = len(out)
        out += struct.pack("<I", len(value))
        if value and isinstance(value[0], int):
            out += struct.pack(f"<{len(value)}i", *value)
        else:
            begin = len(out)
            out += bytes(4 * len(value))
            for number, element in enumerate(value):
                put(out, begin + 4 * number, element)
    struct.pack_into("<I", out, at, place - at)


def put_table(out, table):
    """Its list of places, then the table, each field in eight bytes."""
    count = max(table.fields, default=-1) + 1
    places = [4 + 8 * list(table.fields).index(n) + 4 if n in table.fields else 0
              for n in range(count)]
    begin = len(out)
    out += struct.pack(f"<{2 + count}H", 4 + 2 * count, 8 + 8 * len(table.fields), *places)
    out += b"\0" * (-len(out) % 8)
    place = len(out)
    out += struct.pack("<i", place - begin) + bytes(4 + 8 * len(table.fields))
    for number, value in table.fields.items():
        if isinstance(value, tuple):
            struct.pack_into("<" + value[0], out, place + places[number], value[1])
        else:
            put(out, place + places[number], value)
    return place


FULLY_CONNECTED, FULLY_CONNECTED_OPTIONS = 9, 8


def tflite(path, weights):
    """`y` = `x` W of two rows, W of 4 × 3 numbers, which the format has turned round."""
    turned = [weights[row * 3 + column] for column in range(3) for row in range(4)]
    tensors = [Table(f0=[2, 4], f1=("b", 0), f2=("I", 0), f3="x"),
               Table(f0=[3, 4], f1=("b", 0), f2=("I", 1), f3="w"),
               Table(f0=[2, 3], f1=("b", 0), f2=("I", 0), f3="y")]
    operator = Table(f0=("I", 0), f1=[0, 1, -1], f2=[2], f3=("B", FULLY_CONNECTED_OPTIONS),
                     f4=Table())
    model = Table(
        f0=("I", 3),
        f1=[Table(f0=("b", FULLY_CONNECTED), f2=("i", 1), f3=("i", FULLY_CONNECTED))],
        f2=[Table(f0=tensors, f1=[0], f2=[2], f3=[operator], f4="main")],
        f3="a test",
        f4=[Table(), Table(f0=struct.pack("<12f", *turned))])
    out = bytearray(b"\0\0\0\0TFL3")
    put(out, 0, model)
    path.write_bytes(bytes(out))
    return path


# ---- Paddle ----

FP32, LOD_TENSOR, FEED_MINIBATCH, FETCH_LIST = 5, 7, 9, 10


def paddle_variable(name, kind, shape=None):
    about = field(1, kind)
    if shape:
        tensor = field(1, FP32) + b"".join(field(2, size) for size in shape)
        about += field(3, field(1, tensor))
    return field(3, field(1, name) + field(2, about))


def paddle_operator(kind, inputs, outputs, attributes=b""):
    def sides(number, names):
        return b"".join(field(number, field(1, key) + field(2, value))
                        for key, value in names.items())

    return field(4, sides(1, inputs) + sides(2, outputs) + field(3, kind) + attributes)


def paddle(path, factor):
    """`y` is `x`, rows of four numbers, times the factor."""
    def attribute(name, kind, value):
        return field(4, field(1, name) + field(2, kind) + value)

    column = attribute("col", 0, field(3, 0))
    scale = (attribute("scale", 1, varint(4 << 3 | 5) + struct.pack("<f", factor))
             + attribute("bias", 1, varint(4 << 3 | 5) + struct.pack("<f", 0))
             + attribute("bias_after_scale", 6, field(10, 1)))
    block = (field(1, 0) + field(2, 0)
             + paddle_variable("feed", FEED_MINIBATCH) + paddle_variable("fetch", FETCH_LIST)
             + paddle_variable("x", LOD_TENSOR, [-1, 4]) + paddle_variable("y", LOD_TENSOR, [-1, 4])
             + paddle_operator("feed", {"X": "feed"}, {"Out": "x"}, column)
             + paddle_operator("scale", {"X": "x"}, {"Out": "y"}, scale)
             + paddle_operator("fetch", {"X": "y"}, {"Out": "fetch"}, column))
    path.write_bytes(field(1, block) + field(4, field(1, 0)))
    path.with_suffix(".pdiparams").write_bytes(b"")
    return path
