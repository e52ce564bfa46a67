"""What a model file's code may do, told from its text and its pickles before any of it runs."""

import ast
import io
import pickletools
import re
from collections.abc import Iterator

import torch

# TorchScript can open, map and write files, and runs code while it is loaded. A classifier of
# images computes: of the names that code can mention, those below are known to do no more.
# Operators of torch (``torch.NAME`` or a tensor's method) that compute on what they are given.
COMPUTING = frozenset(
    """
    __and__ __contains__ __getitem__ __is__ __isnot__ __not__ __or__ __range_length __derive_index
    _convolution _softmax _log_softmax _scaled_dot_product_attention
    abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d add add_ addmm addmv all
    alpha_dropout alpha_dropout_ amax amin any append arange argmax argmin argsort avg_pool1d
    avg_pool2d baddbmm batch_norm bitwise_and bitwise_not bitwise_or bitwise_right_shift
    bitwise_left_shift bmm broadcast_to bucketize cat ceil celu chunk clamp clamp_ clamp_max
    clamp_min clone concat constant_pad_nd contiguous conv1d conv2d conv_transpose2d copy_ cos
    cosine_similarity cumsum dequantize detach dim div div_ dot dropout dropout_ einsum elu elu_
    embedding empty empty_like eq equal erf exp expand expand_as expm1 extend eye feature_dropout
    fill_ flatten flip float floor floor_divide floordiv format full full_like gather ge gelu gelu_
    glu group_norm gt hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ index
    index_select instance_norm int is_floating_point isfinite isinf isnan item keys layer_norm ldexp
    le leaky_relu leaky_relu_ len lerp linear linspace list log log1p log2 log_softmax logical_and
    logical_not logical_or logsigmoid logsumexp lt masked_fill masked_fill_ matmul max max_pool1d
    max_pool2d maximum mean median min minimum mish mish_ mm movedim mul mul_ narrow ne neg new_full
    new_ones new_zeros norm normalize numel one_hot ones ones_like pad permute pixel_shuffle
    pixel_unshuffle pow prelu prod reciprocal reflection_pad2d relu relu6 relu6_ relu_ remainder
    repeat repeat_interleave replication_pad2d reshape rms_norm roll round rsqrt rsub
    scaled_dot_product_attention scatter select selu selu_ shape sigmoid sigmoid_ sign silu silu_
    sin size slice softmax softplus sort sqrt square squeeze stack std std_mean stride sub sub_ sum
    swapaxes t tan tanh tanh_ tensor_split tensor split split_with_sizes threshold threshold_ tile
    to topk transpose tril triu type_as unbind unflatten unfold unsqueeze upsample_bicubic2d
    upsample_bilinear2d upsample_nearest2d values var var_mean view view_as where zeros zeros_like
    device dtype NumToTensor RaiseException TupleIndex TupleUnpack ListUnpack Uninitialized
    unchecked_cast is_cuda layout requires_grad
    """.split()
)
# What code may call by name.
BUILT_IN = frozenset("annotate unchecked_cast uninitialized getattr int float bool range len isinstance".split())  # noqa: E501 # fmt: skip
SIZES = ("__len__", "__contains__")  # the special methods that torch's containers come with
# Kinds of node: no lambda, no comprehension, no with, nothing that TorchScript does not write.
NODES = (
    ast.Module, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.AnnAssign,
    ast.AugAssign, ast.Return, ast.If, ast.For, ast.While, ast.Break, ast.Continue, ast.Pass,
    ast.Raise, ast.Assert, ast.Expr, ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Constant,
    ast.Tuple, ast.List, ast.Dict, ast.Subscript, ast.Slice, ast.UnaryOp, ast.BinOp, ast.BoolOp,
    ast.Compare, ast.IfExp, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
RECORDS = re.compile(
    r"(data|constants)(\.pkl|/\d+)|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id|code/[\w./]+\.py(\.debug_pkl)?"
    r"|extra/(manifest\.json|references\.npz|landmarks\.places|places\.csv)"
)
GLOBALS = re.compile(
    r"__torch__\.(?!torch\.classes)[\w.]+ \w+|__torch__ \w+|collections OrderedDict"
    r"|torch \w+Storage|torch\._utils _rebuild_tensor_v2"
    r"|torch\.jit\._pickle (restore_type_tag|build_(int|double|bool|tensor)list)"
)
PLAIN_TEXT = re.compile(rb"[\n -~]*")


class ForbiddenError(Exception):
    """What the model file holds or calls that none made here does."""


def check(data: bytes) -> None:
    """Read, and do not run, the code of a TorchScript file.

    Records are read as torch will read them, by its own reader.

    Raises:
        ForbiddenError: it names something that is not allowed.
        RuntimeError: it is no such file.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    names = reader.get_all_records()
    if len({name.lower() for name in names}) != len(names):
        raise ForbiddenError("holds two records of one name")
    for name in names:
        if not RECORDS.fullmatch(name):
            raise ForbiddenError(f"holds {name!r}, which does not belong in a model")
        if name.endswith(".py"):
            _check_code(reader.get_record(name))
        elif name.endswith("pkl"):
            _check_pickle(reader.get_record(name))


def _check_pickle(data: bytes) -> None:
    try:
        for code, value, _ in pickletools.genops(data):
            if code.name in ("INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "OBJ", "NEWOBJ_EX"):
                raise ForbiddenError(f"has the pickle opcode {code.name}")
            if code.name == "GLOBAL" and not GLOBALS.fullmatch(str(value)):
                raise ForbiddenError(f"makes an object of {value}")
            if "__torch__.torch.classes" in str(value):
                raise ForbiddenError(f"makes an object of {value}")
    except ValueError as error:
        raise ForbiddenError(f"has a pickle that cannot be read ({error})") from error


def _check_code(source: bytes) -> None:
    """Names only are judged, wherever they stand, so that structure can hide nothing.

    What Python and TorchScript could read differently (comments, other characters, strings with
    prefixes or three quotes) is refused first.
    """
    if not PLAIN_TEXT.fullmatch(source) or b'"""' in source or b"'''" in source:
        raise ForbiddenError("has code that is not plain text")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ForbiddenError(f"has code that cannot be read ({error})") from error
    outside = re.sub(rb'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', b"''", source)
    if b"#" in outside or b"\\" in outside or re.search(rb"\w''", outside):
        raise ForbiddenError("has comments or strings that TorchScript does not write")
    functions = _functions(tree)
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, NODES):
            raise ForbiddenError(f"has code of a kind not allowed ({type(node).__name__})")
        if isinstance(node, ast.Attribute) and id(node) not in inside:
            _check_names(*_chain(node))
        elif isinstance(node, ast.Name):
            _check_name(node, id(node) in inside)
        elif isinstance(node, ast.Call):
            _check_call(node, functions)
        elif isinstance(node, ast.FunctionDef):
            if (node.name.startswith("__") and node.name not in SIZES) or node.name in BUILT_IN:
                raise ForbiddenError(f"defines {node.name}, which may run while it is loaded")
            if node.decorator_list:
                raise ForbiddenError("has decorators")


def _chain(node: ast.expr) -> tuple[str, list[str]]:
    """``a.b.c`` as its root and the names behind it; the root is empty where it is no name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else ""), names[::-1]


def _check_names(root: str, names: list[str]) -> None:
    if root == "__torch__":
        if names[:2] == ["torch", "classes"]:
            raise ForbiddenError(f"uses the class {'.'.join(names)}")
        return
    if root in ("torch", "ops"):
        space = "aten" if root == "torch" else names[0]
        called = names if root == "torch" else names[1:]
        if len(called) != 1 or space not in ("aten", "prim") or called[0] not in COMPUTING:
            raise ForbiddenError(f"calls {'::'.join((space, *called))}")
        return
    for name in names:
        _check_operator(name)


def _check_operator(name: str) -> None:
    """A tensor's methods are operators too; a module's parts may have any other name."""
    if name in COMPUTING:
        return
    if name.startswith("__") or torch._C._jit_get_schemas_for_operator(f"aten::{name}"):
        raise ForbiddenError(f"calls aten::{name}")


def _check_name(node: ast.Name, followed: bool) -> None:
    """``torch`` and the like stand before a dot only, and keep their meaning."""
    kept = ("torch", "ops", "__torch__", "CONSTANTS")
    if isinstance(node.ctx, ast.Load) and node.id in kept and not followed:
        raise ForbiddenError(f"passes {node.id} on")
    if not isinstance(node.ctx, ast.Load) and (node.id in kept or node.id in BUILT_IN):
        raise ForbiddenError(f"gives {node.id} another meaning")


def _check_call(node: ast.Call, functions: frozenset[str]) -> None:
    if isinstance(node.func, ast.Attribute):
        return  # judged by its name
    name = node.func.id if isinstance(node.func, ast.Name) else "what it computed"
    if name not in BUILT_IN and name not in functions:
        raise ForbiddenError(f"calls {name}")
    if name == "getattr":
        arguments = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        if len(node.args) != 2 or node.keywords or len(arguments) != 1:
            raise ForbiddenError("calls getattr for a name that it computes")
        if not isinstance(arguments[0], str):
            raise ForbiddenError("calls getattr without a name")
        _check_operator(arguments[0])


def _functions(tree: ast.AST) -> frozenset[str]:
    """Local names that always stand for one of the file's own functions (``_0 = __torch__.f``)."""
    good: set[str] = set()
    counts: dict[str, int] = {}
    for name in _stored(tree):
        counts[name] = counts.get(name, 0) + 1
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target = node.targets[0]
        if isinstance(target, ast.Name) and _chain(node.value)[0] == "__torch__":
            good.add(target.id)
            counts[target.id] -= 1
    return frozenset(name for name in good if not counts[name])


def _stored(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
