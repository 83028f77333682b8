"""A TFLite file opened as objects that can be changed, and packed again."""


def operators_of(data) -> list[tuple[str, list[int], list[int]]]:
    """(type, input tensors, output tensors) of each operator of a file, in the order of execution."""
    model = unpacked(data)
    codes = kinds_of(model)
    return [(codes[op.opcodeIndex], list(op.inputs), list(op.outputs)) for op in model.subgraphs[0].operators]


def kinds_of(model) -> list[str]:
    """Operator type of each operator code of a ``ModelT``."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return [kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]


def unpacked(data):
    """The file as a ``ModelT``."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))


def packed(model) -> bytes:
    """A ``ModelT`` as a file."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
