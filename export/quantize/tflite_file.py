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


def insert_before(model, kinds: list[str], reader, source: int, kind: str, version: int, options) -> None:
    """Let ``reader`` take the graph's last tensor, computed by a new operator, instead of ``source``.

    Args:
        model: ``ModelT`` whose last tensor of the first subgraph is the new operator's result.
        kinds: name of each of the model's operator codes; a new one is added to both.
        reader: an operator of the first subgraph.
        source: index of the tensor that the new operator takes.
        kind: name of the new operator, such as "QUANTIZE".
        version: of its code, where the model has none yet.
        options: its builtin options, such as ``QuantizeOptionsT``.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    if kind not in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = version
        model.operatorCodes.append(code)
        kinds.append(kind)
    operator, result = schema.OperatorT(), len(graph.tensors) - 1
    operator.opcodeIndex, operator.inputs, operator.outputs = kinds.index(kind), [source], [result]
    operator.builtinOptions = options
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    place = next(i for i, present in enumerate(graph.operators) if present is reader)
    graph.operators.insert(place, operator)
    reader.inputs = [result if int(tensor) == source else int(tensor) for tensor in reader.inputs]
