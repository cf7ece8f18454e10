"""Arrays: strides, copies, types and what is refused. Nothing is written before a refusal, and the library works afterwards."""
import ctypes
import threading

import numpy as np
import pytest

import losskit
import losskit.numpy as lk
from losskit import _c

LOSS = losskit.MarginSoftmax(losskit.ArcMargin(0.5), 16)


def apart(a):
    """The same values, rows three elements apart."""
    memory = np.zeros((a.shape[0], a.shape[1] + 3), a.dtype)
    memory[:, : a.shape[1]] = a
    return memory[:, : a.shape[1]]


def forms(a):
    yield "rows apart", apart(a)
    yield "column-major", np.asfortranarray(a)
    yield "rows backwards", np.ascontiguousarray(a[::-1])[::-1]
    yield "columns apart", np.repeat(a, 2, axis=1)[:, ::2]
    yield "read-only", read_only(a)
    yield "not aligned", not_aligned(a)
    yield "list", a.tolist()


def read_only(a):
    b = a.copy()
    b.flags.writeable = False
    return b


def not_aligned(a):
    memory = np.empty(a.nbytes + 1, np.uint8)
    b = memory[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    return b


def test_inputs_in_any_memory(batch):
    cosines, labels = batch
    expected = lk.loss_and_gradient(LOSS, cosines, labels)
    for name, form in forms(cosines):
        before = np.array(form)
        result = lk.loss_and_gradient(LOSS, form, labels)
        assert result.loss == expected.loss and np.array_equal(result.gradient, expected.gradient), name
        assert np.array_equal(before, form), name
    for form in (np.repeat(labels, 2)[::2], labels.tolist(), labels.astype(np.int32), np.ascontiguousarray(labels[::-1])[::-1]):
        assert lk.loss_value(LOSS, cosines, form).loss == expected.loss
    same = lk.loss_and_gradient(LOSS, np.broadcast_to(cosines[0], (4, 13)), [1, 1, 1, 1])
    assert np.array_equal(same.gradient, np.broadcast_to(same.gradient[0], (4, 13)))


def test_rows_apart_are_taken_without_a_copy(batch):
    cosines, labels = batch
    expected = lk.loss_and_gradient(LOSS, cosines, labels)
    memory = np.full((9, 16), 7.0)
    view = memory[:, :13]
    view[...] = cosines
    assert lk._input("cosines", view, 2) is view
    result = lk.loss_and_gradient(LOSS, view, labels, out=view)
    assert result.gradient is view and np.array_equal(view, expected.gradient)
    assert (memory[:, 13:] == 7).all()  # what lies between the rows stays


class FromElsewhere:
    """A tensor of a framework, as NumPy sees it."""

    def __init__(self, a):
        self.a, self.dtype = a, a.dtype

    def __array__(self, dtype=None, copy=None):
        return self.a


def test_arrays_of_others(batch):
    cosines, labels = batch
    result = lk.loss_value(LOSS, FromElsewhere(cosines), FromElsewhere(labels))
    assert result.loss == lk.loss_value(LOSS, cosines, labels).loss


def test_lists_take_the_type_of_the_cosines(batch):
    cosines, labels = batch
    result = lk.loss_and_gradient(LOSS, cosines.astype(np.float32), labels, weights=[1] * 9, class_weights=[0.5] * 13)
    assert result.gradient.dtype == np.float32


ok = np.linspace(-0.9, 0.9, 12).reshape(3, 4)
y = np.array([0, 1, 2])
f32 = np.float32

BAD = [
    # what is given, the error, words of its text
    (dict(cosines=ok.astype(np.float16)), losskit.WrongTypeError, "cosines: float16, expected float32 or float64"),
    (dict(cosines=ok.astype(complex)), losskit.WrongTypeError, "cosines: complex128"),
    (dict(cosines=(ok * 10).astype(int)), losskit.WrongTypeError, "cosines: int64"),
    (dict(cosines=ok.astype(">f8")), losskit.WrongTypeError, "byte order"),
    (dict(cosines=ok.astype(object)), losskit.WrongTypeError, "cosines: object"),
    (dict(cosines=np.ma.masked_less(ok, 0)), losskit.WrongTypeError, "cosines: a masked array"),
    (dict(cosines=None), losskit.WrongTypeError, "cosines"),
    (dict(cosines="text"), losskit.WrongTypeError, "cosines"),
    (dict(cosines=[[0.1, 0.2], [0.3]]), losskit.Error, "cosines"),
    (dict(cosines=ok[0]), losskit.ShapeError, "cosines: of shape (4,)"),
    (dict(cosines=ok[None]), losskit.ShapeError, "cosines: of shape (1, 3, 4)"),
    (dict(labels=y[:2]), losskit.ShapeError, "labels"),
    (dict(labels=y[:, None]), losskit.ShapeError, "labels: of shape (3, 1)"),
    (dict(labels=1), losskit.ShapeError, "labels"),
    (dict(labels=y.astype(float)), losskit.WrongTypeError, "labels: float64, expected int32 or int64"),
    (dict(labels=[0.5, 1, 2]), losskit.WrongTypeError, "labels"),
    (dict(labels=y.astype(np.uint8)), losskit.WrongTypeError, "labels: uint8"),
    (dict(labels=[0, 1, 4]), losskit.LabelError, "4"),
    (dict(labels=[0, -1, 2]), losskit.LabelError, "-1"),
    (dict(labels=np.array([0, -1, 2], np.int32)), losskit.LabelError, "-1"),
    (dict(labels=[0, 1, 9], ignore_index=-1), losskit.LabelError, "9"),
    (dict(weights=[1.0, 1.0]), losskit.ShapeError, "weights"),
    (dict(weights=np.empty(0)), losskit.ShapeError, "weights"),
    (dict(weights=2.0), losskit.ShapeError, "weights"),
    (dict(weights=[1.0, -1.0, 1.0]), losskit.ParameterError, "weights"),
    (dict(weights=[1.0, np.nan, 1.0]), losskit.ParameterError, "weights"),
    (dict(weights=np.ones(3, f32)), losskit.WrongTypeError, "weights"),
    (dict(class_weights=[1.0] * 3), losskit.ShapeError, "class_weights"),
    (dict(scales=[1.0, -2.0, 1.0]), losskit.ParameterError, "scales"),
    (dict(scales=[1.0]), losskit.ShapeError, "scales"),
    (dict(scale=-1.0), losskit.ParameterError, "scale"),
    (dict(scale=np.nan), losskit.ParameterError, "scale"),
    (dict(margins=[9.0, 0.1, 0.1]), losskit.ParameterError, "margins"),
    (dict(rest=0.3), losskit.ParameterError, "rest"),
    (dict(rest="x"), losskit.WrongTypeError, "rest"),
    (dict(scale="x"), losskit.WrongTypeError, "scale = 'x' is no number"),
    (dict(scale=[1.0, 2.0]), losskit.WrongTypeError, "scale"),
    (dict(upstream=None), losskit.WrongTypeError, "upstream = None is no number"),
    (dict(upstream=[1.0, 2.0]), losskit.ShapeError, "upstream"),
    (dict(upstream=np.ones(3, f32)), losskit.WrongTypeError, "upstream"),
    (dict(reduction="average"), losskit.ParameterError, "reduction = 'average'"),
    (dict(top_k=0), losskit.ParameterError, "top_k"),
    (dict(top_k=2**40), losskit.ParameterError, "top_k"),
    (dict(top_k=1.5), losskit.WrongTypeError, "top_k"),
    (dict(threads=-1), losskit.ParameterError, "threads"),
    (dict(threads=2**32 + 1), losskit.ParameterError, "threads"),
    (dict(ignore_index=2**64), losskit.ParameterError, "ignore_index"),
    (dict(ignore_index="none"), losskit.WrongTypeError, "ignore_index"),
    (dict(out=np.zeros((3, 5))), losskit.ShapeError, "3 x 5"),
    (dict(out=np.zeros((3, 4), f32)), losskit.WrongTypeError, "F32"),
    (dict(out=np.zeros((3, 4), int)), losskit.WrongTypeError, "out: int64"),
    (dict(out=np.zeros(12)), losskit.ShapeError, "out: of shape (12,)"),
    (dict(out=[[0.0] * 4] * 3), losskit.WrongTypeError, "out: list"),
    (dict(out=np.zeros((4, 3)).T), losskit.StrideError, "out: strides"),
    (dict(out=np.zeros((3, 8))[:, ::2]), losskit.StrideError, "out: strides"),
    (dict(out=np.zeros((3, 4))[::-1]), losskit.StrideError, "out: strides"),
    (dict(out=np.broadcast_to(np.zeros(4), (3, 4))), losskit.Error, "out"),
    (dict(out=read_only(np.zeros((3, 4)))), losskit.WrongMemoryError, "out: read-only"),
    (dict(out=not_aligned(np.zeros((3, 4)))), losskit.WrongMemoryError, "out: memory that is not aligned"),
    (dict(accumulate=True), losskit.ParameterError, "accumulate"),
    (dict(cosines="in place", accumulate=True), losskit.AliasError, ""),
    (dict(cosines="overlapping"), losskit.AliasError, ""),
]


@pytest.mark.parametrize("given, error, words", BAD, ids=lambda x: ", ".join(x) if isinstance(x, dict) else "")
def test_what_is_refused(given, error, words):
    given = {"cosines": ok.copy(), "labels": y, **given}
    memory = np.zeros(20)
    if isinstance(given["cosines"], str) and given["cosines"] != "text":
        given["out"] = memory[:12].reshape(3, 4)
        given["cosines"] = given["out"] if given["cosines"] == "in place" else memory[2:14].reshape(3, 4)
        given["cosines"][...] = 0.25
    before = {name: np.array(x) for name, x in given.items() if isinstance(x, np.ndarray)}
    with pytest.raises(error) as raised:
        lk.loss_and_gradient(LOSS, **given)
    assert words in str(raised.value)
    assert isinstance(raised.value, ValueError)
    for name, x in before.items():
        assert np.array_equal(x, given[name], equal_nan=x.dtype.kind == "f"), f"{name} was written to"
    assert lk.loss_value(LOSS, ok, y).loss == pytest.approx(lk.loss_and_gradient(LOSS, ok, y).loss)


def test_saved_of_another_call(batch):
    cosines, labels = batch
    saved = lk.loss_value(LOSS, cosines, labels, save=True).saved
    for bad in (saved[:4], saved[:, :5], saved.astype(f32), saved.tolist(), None, np.asfortranarray(saved)):
        with pytest.raises(losskit.Error):
            lk.loss_gradient(LOSS, cosines, labels, bad)


def test_other_python_threads_run_during_a_call():
    assert type(_c._library) is ctypes.CDLL  # a PyDLL would hold the interpreter's lock


def test_threads_of_python(batch):
    """Calls from many Python threads at once, some of which fail: each hears of its own error."""
    cosines, labels = batch
    expected = lk.loss_value(LOSS, cosines, labels).loss
    wrong = []

    def work(k):
        for i in range(50):
            if i % 2:
                bad = labels.copy()
                bad[0] = 100 + k
                try:
                    lk.loss_value(LOSS, cosines, bad)
                    wrong.append("no error")
                except losskit.LabelError as error:
                    if str(100 + k) not in str(error):
                        wrong.append(str(error))
            elif lk.loss_value(LOSS, cosines, labels, threads=2).loss != expected:
                wrong.append("another loss")

    workers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
    assert wrong == [] and not any(w.is_alive() for w in workers)
