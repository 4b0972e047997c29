// The transforms for core/_transforms.py and core/_compile.py: flat lists of arrays.
#include <pybind11/pybind11.h>

#include <memory>
#include <unordered_set>

#include "bind/array_class.h"
#include "bind/lent.h"
#include "bind/module.h"
#include "bind/transforms.h"
#include "graph/trace.h"
#include "transform/control_flow/loops.h"
#include "transform/function_graph.h"

namespace py = pybind11;

namespace lazulite::bind {

py::list to_list(const ArrayList& arrays) {
  py::list out;
  for (const array& a : arrays)
    out.append(a ? py::reinterpret_steal<py::object>(wrap(a)) : py::none());
  return out;
}

ArrayList from_list(const py::handle& list, bool holes) {
  ArrayList out;
  for (py::handle item : list) {
    if (holes && item.is_none()) {
      out.emplace_back();
      continue;
    }
    if (!is_array(item.ptr()))
      fail(Kind::type, "transform", "not an array: got ", Py_TYPE(item.ptr())->tp_name);
    out.push_back(peek(item.ptr()));
  }
  return out;
}

Function flat(py::object fun) {
  return [fun](const ArrayList& args) { return from_list(fun(to_list(args))); };
}

namespace {

Axes from_axes(const py::handle& list) {
  Axes out;
  for (py::handle item : list) out.push_back(item.cast<int>());
  return out;
}

// Python callables that nodes hold: a node may die in a thread without the GIL.
void drop(PyObject* o) {
  release_python([](void* object) { Py_DECREF(static_cast<PyObject*>(object)); }, o);
}
std::shared_ptr<PyObject> held(const py::object& o) {
  return {Py_NewRef(o.ptr()), drop};
}
template <class... A>
py::object call(const std::shared_ptr<PyObject>& fun, A&&... arguments) {
  return py::reinterpret_borrow<py::object>(fun.get())(std::forward<A>(arguments)...);
}

}  // namespace

void add_transforms(py::module_& m) {
  m.def("_vjp", [](py::object fun, py::list primals, py::object cotangents) {
    auto [outputs, grads] = vjp(
        flat(fun), from_list(primals),
        [&](const ArrayList& out) { return from_list(cotangents(to_list(out)), true); }, true);
    return py::make_tuple(to_list(outputs), to_list(grads));
  });
  m.def("_jvp", [](py::object fun, py::list primals, py::list tangents) {
    auto [outputs, out] = jvp(flat(fun), from_list(primals), from_list(tangents, true), true);
    return py::make_tuple(to_list(outputs), to_list(out));
  });
  m.def("_vjp_of_each", [](py::object fun, py::list primals, py::object rows) {
    auto [outputs, grads] =
        vjp_of_each(flat(fun), from_list(primals),
                    [&](const ArrayList& out) { return from_list(rows(to_list(out))); });
    return py::make_tuple(to_list(outputs), to_list(grads));
  });
  m.def("_jvp_of_each", [](py::object fun, py::list primals, py::list rows) {
    auto [outputs, columns] = jvp_of_each(flat(fun), from_list(primals), from_list(rows));
    py::list out;
    for (const ArrayList& column : columns) out.append(to_list(column));
    return py::make_tuple(to_list(outputs), out);
  });
  m.def("_vmap", [](py::object fun, py::list inputs, py::list axes, py::object out_axes) {
    return to_list(vmap(flat(fun), from_list(inputs), from_axes(axes),
                        [&](const ArrayList& out) { return from_axes(out_axes(to_list(out))); }));
  });
  m.def("_custom", [](py::object fun, py::list arguments, py::object vjp_rule, py::object jvp_rule,
                      py::object vmap_rule) {
    Rules rules;
    if (!vjp_rule.is_none())
      rules.vjp = [rule = held(vjp_rule)](const ArrayList& primals, const ArrayList& cotangents,
                                          const ArrayList& outputs) {
        return from_list(call(rule, to_list(primals), to_list(cotangents), to_list(outputs)), true);
      };
    if (!jvp_rule.is_none())
      rules.jvp = [rule = held(jvp_rule)](const ArrayList& primals, const ArrayList& tangents) {
        return from_list(call(rule, to_list(primals), to_list(tangents)), true);
      };
    if (!vmap_rule.is_none())
      rules.vmap = [rule = held(vmap_rule)](const ArrayList& inputs, const Axes& axes) {
        py::list at;
        for (int axis : axes)
          at.append(axis < 0 ? py::object(py::none()) : py::object(py::int_(axis)));
        const py::tuple out = call(rule, to_list(inputs), at);
        return std::pair(from_list(out[0], true), from_axes(out[1]));
      };
    return to_list(custom_call(flat(fun), from_list(arguments), rules));
  });
  m.def("_checkpoint", [](py::object fun, py::list arguments) {
    return to_list(checkpoint_call(flat(fun), from_list(arguments)));
  });
  m.def("_scan", [](py::object fun, py::list init, py::list xs, int64_t length, bool reverse,
                    bool counts) {
    return to_list(scan(flat(fun), from_list(init), from_list(xs), length, reverse,
                        counts ? "fori_loop" : "scan"));
  });
  m.def("_while_loop", [](py::object test, py::object body, py::list init, bool counts) {
    return to_list(while_loop(flat(test), flat(body), from_list(init),
                              counts ? "fori_loop" : "while_loop", counts));
  });
  m.def("_cond", [](py::object predicate, py::object yes, py::object no, py::list operands) {
    if (!is_array(predicate.ptr()))
      fail(Kind::type, "cond", "the predicate is not an array: got ",
           Py_TYPE(predicate.ptr())->tp_name);
    return to_list(cond(unwrap(predicate.ptr()), flat(yes), flat(no), from_list(operands)));
  });
  m.def("_tracing", [] { return current_trace() != nullptr; });
  // Whether a value follows from an argument that has none: of a function that was traced.
  m.def("_is_abstract", [](py::handle a) {
    if (!is_array(a.ptr())) return false;
    std::unordered_set<const Node*> seen;
    std::vector<array> stack{unwrap(a.ptr())};
    while (!stack.empty()) {
      const array at = std::move(stack.back());
      stack.pop_back();
      const Node& node = *at.node();
      const State state = node.state.load(std::memory_order_acquire);
      if (state == State::traced) return true;
      if (state != State::pending || !seen.insert(&node).second) continue;
      for (const array& input : node.inputs) stack.push_back(input);
    }
    return false;
  });
  m.def("_watched", [] { return current_trace() && current_trace()->watched; });
  auto check_arrays = [](std::initializer_list<py::handle> objects) {
    for (py::handle o : objects)
      if (!is_array(o.ptr()))
        fail(Kind::type, "transform", "not an array: got ", Py_TYPE(o.ptr())->tp_name);
  };
  m.def("_copy_handle", [=](py::handle a) {
    check_arrays({a});
    return py::reinterpret_steal<py::object>(wrap(unwrap(a.ptr())));
  });
  m.def("_set_handle", [=](py::handle a, py::handle b) {
    check_arrays({a, b});
    if (peek(a.ptr()).node()->captured.load()) note_change(*peek(a.ptr()).node());
    retarget(a.ptr(), unwrap(b.ptr()));
  });
  // Each of the first holds what the second does until _take_back, on this thread.
  m.def("_lend", [=](py::list arrays, py::list values) {
    std::vector<std::pair<Object, array>> state;
    for (size_t i = 0; i < arrays.size(); ++i) {
      const py::object a = arrays[i], value = values[i];
      check_arrays({a, value});
      state.emplace_back(a, unwrap(value.ptr()));
    }
    lent::lend(state);
  });
  m.def("_take_back", lent::take_back);
  m.def("_same_handle", [=](py::handle a, py::handle b) {
    check_arrays({a, b});
    return peek(a.ptr()).same(peek(b.ptr()));
  });
}

}  // namespace lazulite::bind
