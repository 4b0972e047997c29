// The type `array`: handles in Python objects, operators in number slots.
#include "bind/array_class.h"

#include <new>

#include "base/sanitize.h"
#include "bind/array_slots.h"
#include "eval/pending.h"
#include "graph/trace.h"
#include "ops/elementwise/elementwise.h"
#include "ops/matmul/matmul.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

PyTypeObject* array_type = nullptr;

namespace {

constexpr int pool_size = sanitize::keep_spares ? 256 : 0;
PyArray* pool[pool_size + 1];  // dead objects, under the GIL
int pooled = 0;

PyArray* make_object(PyTypeObject* type) {
  if (type == array_type && pooled > 0) {
    PyArray* o = pool[--pooled];
    PyObject_Init(reinterpret_cast<PyObject*>(o), type);
    return o;
  }
  return reinterpret_cast<PyArray*>(type->tp_alloc(type, 0));
}

void dealloc(PyObject* self) {
  auto* a = reinterpret_cast<PyArray*>(self);
  if (a->weak_references) PyObject_ClearWeakRefs(self);
  a->value.~array();
  PyTypeObject* type = Py_TYPE(self);
  if (type == array_type && pooled < pool_size) pool[pooled++] = a;
  else type->tp_free(self);
  Py_DECREF(type);
}

PyObject* wrap_made(array made) {
  PyArray* o = make_object(array_type);
  if (!o) return nullptr;
  new (&o->value) array(std::move(made));
  o->weak_references = nullptr;
  return reinterpret_cast<PyObject*>(o);
}

PyObject* construct(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"val", "dtype", nullptr};
  PyObject *value, *dtype = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:array", const_cast<char**>(names), &value,
                                   &dtype))
    return nullptr;
  return guarded([&] { return wrap_made(make_array(value, to_dtype(dtype))); });
}

// The same for calls array(val) and array(val, dtype), without a tuple of arguments.
PyObject* construct_fast(PyObject* type, PyObject* const* args, size_t flagged, PyObject* names) {
  const Py_ssize_t n = PyVectorcall_NARGS(flagged);
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  const bool plain =
      (n == 1 && named == 0) || (n == 2 && named == 0) ||
      (n == 1 && named == 1 &&
       PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "dtype") == 0);
  if (plain)
    return guarded([&] {
      return wrap_made(make_array(args[0], n + named > 1 ? to_dtype(args[1]) : std::nullopt));
    });
  PyObject* positional = PyTuple_New(n);
  PyObject* keywords = positional && named ? PyDict_New() : nullptr;
  PyObject* made = nullptr;
  bool ok = positional && (keywords || !named);
  for (Py_ssize_t i = 0; ok && i < n; ++i) PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
  for (Py_ssize_t i = 0; ok && i < named; ++i)
    ok = PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, i), args[n + i]) == 0;
  if (ok) made = construct(reinterpret_cast<PyTypeObject*>(type), positional, keywords);
  Py_XDECREF(keywords);
  Py_XDECREF(positional);
  return made;
}

bool type_has(PyObject* o, const char* name) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), name);
}

// Operators take what functions take. What puts labels on arrays (pandas) computes with them
// itself.
bool fits(PyObject* o) {
  if (is_array(o) || is_operand_number(o)) return true;
  if (PyUnicode_Check(o)) return false;  // NumPy's too
  if (is_number(o)) return true;
  if (type_has(o, "__pandas_priority__")) return false;
  return PyObject_CheckBuffer(o) || has_dlpack(o) || type_has(o, "__array__") ||
         type_has(o, "__array_interface__");
}

PyObject* refuse(PyObject* a, PyObject* b) {
  PyErr_Format(PyExc_ValueError, "cannot operate on %s and %s: expected arrays or numbers",
               Py_TYPE(a)->tp_name, Py_TYPE(b)->tp_name);
  return nullptr;
}
// A class that defines this operator is asked when it stands on the right; None makes a TypeError,
// and anything else a ValueError.
template <auto slot>
PyObject* no_operand(PyObject* a, PyObject* b) {
  PyObject* const other = fits(a) ? b : a;
  PyTypeObject* const type = Py_TYPE(other);
  const bool answers = other == b && (type->tp_flags & Py_TPFLAGS_HEAPTYPE) && type->tp_as_number &&
                       type->tp_as_number->*slot;
  if (other == Py_None || answers) Py_RETURN_NOTIMPLEMENTED;
  return refuse(a, b);
}

// Binary functions as types: rows of the elementwise family, whose plain cases go straight, and
// others.
template <class R>
struct Elementwise {
  static const char* name() { return elementwise_op<R>().name; }
  static array call(PyObject* a, PyObject* b) {
    const Op& op = elementwise_op<R>();
    const Stream s = default_stream();
    if (is_array(a)) {
      if (is_array(b)) return binary(op, peek(a), peek(b), s);
      if (is_operand_number(b)) return binary(op, peek(a), to_scalar(b, op.name), false, s);
    } else if (is_operand_number(a)) {
      return binary(op, peek(b), to_scalar(a, op.name), true, s);
    }
    return binary(op, to_operand(a, op.name), to_operand(b, op.name), s);
  }
};
struct Product {
  static array call(PyObject* a, PyObject* b);
};

template <class F, auto slot>
PyObject* binary_slot(PyObject* a, PyObject* b) {
  if (!fits(a) || !fits(b)) return no_operand<slot>(a, b);
  return guarded([&] { return wrap(F::call(a, b)); });
}

// a += b gives the object a new value; all names of it see that.
template <class F, auto slot>
PyObject* inplace_slot(PyObject* a, PyObject* b) {
  if (!fits(b)) return no_operand<slot>(a, b);
  return guarded([&] {
    array result = F::call(a, b);
    before_change(peek(a));
    retarget(a, std::move(result));
    if (pending_due()) bound_pending(unwrap(a));
    return Py_NewRef(a);
  });
}

array Product::call(PyObject* x, PyObject* y) {
  const Operand a = to_operand(x, "matmul"), b = to_operand(y, "matmul");
  if (!a.is_array() || !b.is_array())
    fail(Kind::value, "matmul", "a number: got ", a.is_array() ? b.scalar() : a.scalar(),
         ", expected arrays with one axis or more");
  return matmul(a.get(), b.get(), default_stream());
}

PyObject* power_slot(PyObject* a, PyObject* b, PyObject* modulo) {
  if (modulo != Py_None) {
    PyErr_SetString(PyExc_TypeError, "pow() with a modulus is not defined for arrays");
    return nullptr;
  }
  return binary_slot<Elementwise<Power>, &PyNumberMethods::nb_power>(a, b);
}
PyObject* inplace_power(PyObject* a, PyObject* b, PyObject*) {
  return inplace_slot<Elementwise<Power>, &PyNumberMethods::nb_power>(a, b);
}

PyObject* divmod_slot(PyObject* a, PyObject* b) {
  PyObject* q = binary_slot<Elementwise<FloorDivide>, &PyNumberMethods::nb_divmod>(a, b);
  if (!q || q == Py_NotImplemented) return q;
  PyObject* r = binary_slot<Elementwise<Remainder>, &PyNumberMethods::nb_divmod>(a, b);
  if (!r) {
    Py_DECREF(q);
    return nullptr;
  }
  PyObject* pair = PyTuple_Pack(2, q, r);
  Py_DECREF(q);
  Py_XDECREF(r);
  return pair;
}

PyObject* negative_slot(PyObject* a) { return guarded([&] { return wrap(negative(unwrap(a))); }); }
PyObject* positive_slot(PyObject* a) { return wrap(unwrap(a)); }
PyObject* absolute_slot(PyObject* a) { return guarded([&] { return wrap(abs(unwrap(a))); }); }
PyObject* invert_slot(PyObject* a) {
  return guarded([&] { return wrap(bitwise_invert(unwrap(a))); });
}
int bool_slot(PyObject* a) {
  try {
    return unwrap(a).item().truth();
  } catch (...) {
    set_error();
    return -1;
  }
}
// An int, also of a bool; takes the reference.
PyObject* whole_number(PyObject* number) {
  PyObject* const whole = PyNumber_Long(number);
  Py_DECREF(number);
  return whole;
}
PyObject* int_slot(PyObject* a) {
  return guarded([&] {
    PyObject* number = to_number(unwrap(a).item());
    if (PyComplex_Check(number)) {
      Py_DECREF(number);
      fail(Kind::type, "int", "a complex number: expected a real one");
    }
    return whole_number(number);
  });
}
PyObject* float_slot(PyObject* a) {
  return guarded([&] {
    const Scalar number = unwrap(a).item();
    if (number.kind() == 'c')
      fail(Kind::type, "float", "a complex number: expected a real one");
    return PyFloat_FromDouble(number.real());
  });
}
PyObject* index_slot(PyObject* a) {
  return guarded([&] {
    const array x = unwrap(a);
    if (x.ndim() != 0 || !is_integral(x.dtype()))
      fail(Kind::type, "index", "not a 0-d integer array: got shape ", x.shape(), " and dtype ",
           x.dtype());
    return whole_number(to_number(x.item()));
  });
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
  if (!fits(b)) {
    // Not equal unless the other says so; an order only where the other's class defines one.
    const PyTypeObject* type = Py_TYPE(b);
    const bool answers = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) &&
                         type->tp_richcompare != PyBaseObject_Type.tp_richcompare;
    if (op == Py_EQ || op == Py_NE || b == Py_None || answers) Py_RETURN_NOTIMPLEMENTED;
    return refuse(a, b);
  }
  return guarded([&] {
    switch (op) {
      case Py_EQ: return wrap(Elementwise<Equal>::call(a, b));
      case Py_NE: return wrap(Elementwise<NotEqual>::call(a, b));
      case Py_LT: return wrap(Elementwise<Less>::call(a, b));
      case Py_LE: return wrap(Elementwise<LessEqual>::call(a, b));
      case Py_GT: return wrap(Elementwise<Greater>::call(a, b));
      default: return wrap(Elementwise<GreaterEqual>::call(a, b));
    }
  });
}

Py_hash_t hash(PyObject* self) {
  return Py_hash_t(reinterpret_cast<uintptr_t>(self) >> 4);
}  // by identity

Py_ssize_t length(PyObject* self) {
  const array& a = peek(self);
  if (a.ndim() == 0) {
    PyErr_SetString(PyExc_TypeError, "len() of a 0-d array");
    return -1;
  }
  return Py_ssize_t(a.shape()[0]);
}

PyObject* item_at(PyObject* self, Py_ssize_t i) {
  const array a = unwrap(self);
  if (i < 0 || a.ndim() == 0 || i >= a.shape()[0]) {
    PyErr_SetString(PyExc_IndexError, "index out of range");
    return nullptr;
  }
  return guarded([&] { return wrap(squeeze(slice_axis(a, 0, i, i + 1), Axes{0})); });
}

PyObject* iterate(PyObject* self) {
  if (peek(self).ndim() == 0) {
    PyErr_SetString(PyExc_TypeError, "iteration over a 0-d array");
    return nullptr;
  }
  return PySeqIter_New(self);
}

int contains(PyObject* self, PyObject* value) {
  if (!fits(value)) return 0;
  try {
    const array hit = equal(unwrap(self), to_operand(value, "in"));
    array flat = reshape(hit, {-1});
    const bool* p = contiguous(flat).data<bool>();
    for (int64_t i = 0; i < flat.size(); ++i)
      if (p[i]) return 1;
    return 0;
  } catch (const Error& e) {
    if (e.kind() == Kind::overflow) return 0;  // no element can be that number
    set_error();
    return -1;
  } catch (...) {
    set_error();
    return -1;
  }
}

PyObject* subscript(PyObject* self, PyObject* key) {
  return guarded([&] {
    // Reading other keys may run Python code, in which the object may get another value.
    if (PyLong_CheckExact(key)) return wrap(get_item(peek(self), key));
    return wrap(get_item(unwrap(self), key));
  });
}
int assign(PyObject* self, PyObject* key, PyObject* value) {
  if (!value) {
    PyErr_SetString(PyExc_TypeError, "elements of an array cannot be deleted");
    return -1;
  }
  try {
    array result = set_item(unwrap(self), key, value);
    before_change(peek(self));
    retarget(self, std::move(result));
    if (pending_due()) bound_pending(unwrap(self));
    return 0;
  } catch (...) {
    set_error();
    return -1;
  }
}

// By the names of NumPy's functions.
struct Operator {
  const char* (*name)();
  binaryfunc call;
};
template <class Row, auto slot>
constexpr Operator as_operator() {
  return {Elementwise<Row>::name, binary_slot<Elementwise<Row>, slot>};
}
template <class Row>
constexpr Operator comparison() {
  return {Elementwise<Row>::name, [](PyObject* a, PyObject* b) {
            return guarded([&] { return wrap(Elementwise<Row>::call(a, b)); });
          }};
}
constexpr Operator operators[] = {
    as_operator<Add, &PyNumberMethods::nb_add>(),
    as_operator<Subtract, &PyNumberMethods::nb_subtract>(),
    as_operator<Multiply, &PyNumberMethods::nb_multiply>(),
    as_operator<Divide, &PyNumberMethods::nb_true_divide>(),
    as_operator<FloorDivide, &PyNumberMethods::nb_floor_divide>(),
    as_operator<Remainder, &PyNumberMethods::nb_remainder>(),
    as_operator<BitwiseAnd, &PyNumberMethods::nb_and>(),
    as_operator<BitwiseOr, &PyNumberMethods::nb_or>(),
    as_operator<BitwiseXor, &PyNumberMethods::nb_xor>(),
    as_operator<LeftShift, &PyNumberMethods::nb_lshift>(),
    as_operator<RightShift, &PyNumberMethods::nb_rshift>(),
    as_operator<Power, &PyNumberMethods::nb_power>(),
    comparison<Equal>(),
    comparison<NotEqual>(),
    comparison<Less>(),
    comparison<LessEqual>(),
    comparison<Greater>(),
    comparison<GreaterEqual>(),
    {[] { return "matmul"; }, binary_slot<Product, &PyNumberMethods::nb_matrix_multiply>},
    {[] { return "divmod"; }, divmod_slot},
};

}  // namespace

binaryfunc operator_named(PyObject* name) {
  for (const Operator& o : operators)
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, o.name()) == 0)
      return o.call;
  return nullptr;
}
PyObject* divided(PyObject* a, PyObject* b) {
  return binary_slot<Elementwise<Divide>, &PyNumberMethods::nb_true_divide>(a, b);
}

// Where functions give arrays to Python; false: interrupted, with the error set.
static bool stays_bounded(const array& value) {
  try {
    bound_pending(value);
    return true;
  } catch (...) {
    set_error();
    return false;
  }
}

PyObject* wrap(array value) {
  if (pending_due() && !stays_bounded(value)) return nullptr;
  return wrap_made(std::move(value));
}

PyObject* make_array_type(PyObject* module) {
#define SLOT(id, ...) {id, reinterpret_cast<void*>(__VA_ARGS__)}
#define OPERATOR(slot, F)                                            \
  SLOT(Py_nb_##slot, binary_slot<F, &PyNumberMethods::nb_##slot>), \
      SLOT(Py_nb_inplace_##slot, inplace_slot<F, &PyNumberMethods::nb_##slot>)
  PyType_Slot slots[] = {
      SLOT(Py_tp_new, construct),
      SLOT(Py_tp_dealloc, dealloc),
      SLOT(Py_tp_repr, repr_array),
      SLOT(Py_tp_hash, hash),
      SLOT(Py_tp_richcompare, compare),
      SLOT(Py_tp_iter, iterate),
      {Py_tp_getset, array_properties},
      {Py_tp_methods, array_methods},
      {Py_tp_members, array_members},
      {Py_tp_doc,
       const_cast<char*>(
           "array(val, dtype=None)\n--\n\nA lazy array: made from numbers, nested lists, NumPy "
           "arrays, buffers and DLPack objects. float64 data becomes float32 unless dtype says "
           "otherwise.")},
      OPERATOR(add, Elementwise<Add>),
      OPERATOR(subtract, Elementwise<Subtract>),
      OPERATOR(multiply, Elementwise<Multiply>),
      OPERATOR(true_divide, Elementwise<Divide>),
      OPERATOR(floor_divide, Elementwise<FloorDivide>),
      OPERATOR(remainder, Elementwise<Remainder>),
      OPERATOR(matrix_multiply, Product),
      OPERATOR(and, Elementwise<BitwiseAnd>),
      OPERATOR(or, Elementwise<BitwiseOr>),
      OPERATOR(xor, Elementwise<BitwiseXor>),
      OPERATOR(lshift, Elementwise<LeftShift>),
      OPERATOR(rshift, Elementwise<RightShift>),
      SLOT(Py_nb_power, power_slot),
      SLOT(Py_nb_inplace_power, inplace_power),
      SLOT(Py_nb_divmod, divmod_slot),
      SLOT(Py_nb_negative, negative_slot),
      SLOT(Py_nb_positive, positive_slot),
      SLOT(Py_nb_absolute, absolute_slot),
      SLOT(Py_nb_invert, invert_slot),
      SLOT(Py_nb_bool, bool_slot),
      SLOT(Py_nb_int, int_slot),
      SLOT(Py_nb_float, float_slot),
      SLOT(Py_nb_index, index_slot),
      SLOT(Py_sq_length, length),
      SLOT(Py_sq_item, item_at),
      SLOT(Py_sq_contains, contains),
      SLOT(Py_mp_length, length),
      SLOT(Py_mp_subscript, subscript),
      SLOT(Py_mp_ass_subscript, assign),
      SLOT(Py_bf_getbuffer, get_buffer),
      SLOT(Py_bf_releasebuffer, release_buffer),
      {0, nullptr},
  };
#undef OPERATOR
#undef SLOT
  PyType_Spec spec{"lazulite.core.array", sizeof(PyArray), 0, Py_TPFLAGS_DEFAULT, slots};
  array_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (array_type) array_type->tp_vectorcall = construct_fast;
  if (array_type)
    PyModule_AddObject(module, "array", Py_NewRef(reinterpret_cast<PyObject*>(array_type)));
  return reinterpret_cast<PyObject*>(array_type);
}

}  // namespace lazulite::bind
