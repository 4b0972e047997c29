// random.state, and the keys of functions that are traced.
#include <pybind11/pybind11.h>

#include "bind/array_class.h"
#include "bind/module.h"
#include "bind/trees.h"
#include "ops/random/random.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

// random.state: a list of one array, the default key.
struct State {};

}  // namespace

bool is_random_state(PyObject* o) { return py::isinstance<State>(o); }

void add_random_state(py::module_& m) {
  py::object random = m.attr("random");
  auto check = [](int64_t i) {
    if (i != 0 && i != -1)
      fail(Kind::index, "state", "index out of range: got ", i, " for a list of one key");
  };
  py::class_<State>(m, "_RandomState",
                    "A list of one array: the key that draws without key= split.")
      .def("__len__", [](const State&) { return 1; })
      .def("__getitem__",
           [check](const State&, int64_t i) {
             check(i);
             return py::reinterpret_steal<py::object>(wrap(random::default_key()));
           })
      .def("__setitem__",
           [check](const State&, int64_t i, py::object value) {
             check(i);
             const array k = to_array(value.ptr(), "state");
             if (k.shape() != Shape{2} || k.dtype() != uint32)
               fail(Kind::value, "state", "not a key: got shape ", k.shape(), " of ", k.dtype(),
                    ", expected (2,) of uint32");
             random::set_default_key(k);
           })
      .def("__iter__",
           [](const State&) {
             py::list one;
             one.append(py::reinterpret_steal<py::object>(wrap(random::default_key())));
             return py::iter(one);
           })
      .def("__reduce__",  // copies are lists: they stay while the state goes on
           [](const State&) {
             py::list one;
             one.append(py::reinterpret_steal<py::object>(wrap(random::default_key())));
             const py::object list = py::reinterpret_borrow<py::object>((PyObject*)&PyList_Type);
             return py::make_tuple(list, py::make_tuple(one));
           })
      .def("__repr__", [](const State&) { return "[" + print_array(random::default_key()) + "]"; });
  random.attr("state") = py::cast(State{});
  m.def("_push_key", [](py::handle key) { random::push_key(unwrap(key.ptr())); });
  m.def("_pop_key", [] { random::pop_key(); });
}

}  // namespace lazulite::bind
