// eval and its relatives, memory, threads.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "bind/trees.h"
#include "device/cpu/expressions.h"
#include "device/cpu/features.h"
#include "device/cpu/openblas.h"
#include "device/cpu/pool.h"
#include "eval/compare.h"
#include "eval/eval.h"
#include "eval/plan.h"
#include "eval/profile.h"
#include "eval/trees.h"
#include "graph/origin.h"
#include "graph/trace.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

// Straight against the C API: evaluation of small arrays is counted in tens of nanoseconds.
PyObject* py_eval(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    if (n == 1 && is_array(args[0])) {
      array(peek(args[0])).eval();
      Py_RETURN_NONE;
    }
    std::vector<array> arrays;
    for (Py_ssize_t i = 0; i < n; ++i) collect_arrays(args[i], arrays, "eval");
    eval(arrays);
    Py_RETURN_NONE;
  });
}
PyObject* py_async_eval(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&]() -> PyObject* {
    std::vector<array> arrays;
    for (Py_ssize_t i = 0; i < n; ++i) collect_arrays(args[i], arrays, "async_eval");
    async_eval(arrays);
    Py_RETURN_NONE;
  });
}
PyMethodDef fast_functions[] = {
    {"eval", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_eval)), METH_FASTCALL,
     "eval(*args)\n--\n\nComputes arrays, and the arrays in lists, tuples, dicts and modules; "
     "numbers, strings and None are\n"
     "passed over, and whatever else stands in a tree. Raises what the computation raises, and "
     "TypeError for an argument that is no tree: a function, a generator, an optimizer (eval its "
     "state).\n\n>>> a = mx.ones(3) + 1\n>>> mx.eval(a, [a, None])"},
    {"async_eval", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_async_eval)),
     METH_FASTCALL,
     "async_eval(*args)\n--\n\nStarts to compute like eval, in the background; who reads an array "
     "waits for it and\n"
     "receives its error.\n\n>>> a = mx.ones(3) + 1\n>>> mx.async_eval(a)\n>>> a.tolist()\n[2.0, "
     "2.0, 2.0]"},
    {nullptr, nullptr, 0, nullptr},
};

// A limit that plans depend on: those that are kept were made under the old one.
template <class T, T (*set)(T)>
void def_limit(py::module_& m, const char* name) {
  m.def(name, [](T limit) {
    const T old = set(limit);
    if (old != limit) forget_plans();
    return old;
  });
}

void* release_gil() { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; }
void acquire_gil(void* state) { PyEval_RestoreThread(static_cast<PyThreadState*>(state)); }
void poll_signals() {
  if (!PyGILState_Check()) return;
  if (PyErr_CheckSignals() != 0) throw PythonError{};
}

// " at file.py, line 3" of the Python code that runs; lines of this package are passed over.
std::string python_line() {
  if (!PyGILState_Check()) return {};
  py::object frame =
      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame && !frame.is_none()) {
    const py::dict globals = frame.attr("f_globals");
    const std::string name =
        globals.contains("__name__") ? std::string(py::str(globals["__name__"])) : "";
    if (name != "lazulite" && name.rfind("lazulite.", 0) != 0)
      return " at " + std::string(py::str(frame.attr("f_code").attr("co_filename"))) + ", line " +
             std::string(py::str(frame.attr("f_lineno")));
    frame = frame.attr("f_back");
  }
  return {};
}

// An op whose value is the level that computes it: what debug_compare must find.
Specs infer_probe(const Attrs*, const Arrays&) { return {Spec{{}, int32}}; }
void run_probe(const KernelCall& call) {
  *reinterpret_cast<int32_t*>(call.out[0].data) = int32_t(cpu::level());
}
const Op probe_op{.name = "level_probe",
                  .doc = "The level that computes it.",
                  .barrier = true,
                  .infer = infer_probe,
                  .kernel = run_probe};
array level_probe() { return record(probe_op, {}, {}); }


}  // namespace

Trees From<Trees>::of(PyObject* o, const Argument& at) {
  return {arrays_of(o, at.function, Values::refused)};
}
PyObject* to_py(const PlanSummary& plan) { return py::cast(plan).release().ptr(); }

void add_evaluation(py::module_& m) {
  py::class_<PlanStep>(m, "PlanStep",
                       "A step of a plan: a fused group of elementwise ops, or one other op.")
      .def_readonly("ops", &PlanStep::ops, "Names of the ops, in order.")
      .def_readonly("attributes", &PlanStep::attributes,
                    "What each op was recorded with, as text; may be empty.")
      .def_readonly("stored", &PlanStep::stored, "Which of them are written to memory.")
      .def_readonly("fused", &PlanStep::fused)
      .def_readonly("results", &PlanStep::results, "dtype and shape of what is written.")
      .def_readonly("stream", &PlanStep::stream, "Number of the stream.")
      .def_readonly("bytes", &PlanStep::bytes, "Bytes allocated when it runs.")
      .def("__repr__", &PlanStep::print);
  py::class_<PlanSummary>(m, "Plan", "What an evaluation would do, in order; see mx.plan.")
      .def_readonly("steps", &PlanSummary::steps)
      .def_readonly("peak_bytes", &PlanSummary::peak_bytes,
                    "Predicted peak beyond what is alive, in bytes.")
      .def("__len__", [](const PlanSummary& p) { return p.steps.size(); })
      .def("__repr__", &PlanSummary::print);
  set_wait_hooks({release_gil, acquire_gil, poll_signals});
  set_line_hook(python_line);
  if (PyModule_AddFunctions(m.ptr(), fast_functions) != 0) throw py::error_already_set();
  m.def("_debug_nans", &debug_nans);
  m.def("_debug_compare", &debug_compare);
  m.def("_level_probe", [] { return py::reinterpret_steal<py::object>(wrap(level_probe())); });
  py::class_<Profile>(m, "_Profile")
      .def(py::init<>())
      .def("start", &Profile::start)
      .def("stop", &Profile::stop)
      .def("full", &Profile::full)
      .def("events", [](const Profile& p) {
        py::list out;
        for (const ProfileEvent& e : p.events())
          out.append(py::make_tuple(e.name, e.text, e.result, e.line, e.start, e.nanoseconds, e.own,
                                    e.bytes, e.flops, e.thread));
        return out;
      });
  m.def("_set_openblas_hint", &cpu::set_openblas_hint);
  m.def("_openblas", [] {
    cpu::blas();
    return cpu::blas_status();
  });
  m.def("_level", &cpu::level_name);
  def_limit<int64_t, set_least_absorbed>(m, "_set_least_absorbed");
  def_limit<int64_t, set_least_formed_again>(m, "_set_least_formed_again");
  def_limit<int64_t, cpu::set_least_joined>(m, "_set_least_joined");
  def_limit<double, cpu::set_least_coded>(m, "_set_least_coded");
  m.def("_known_plans", [] {
    const KnownCount count = count_known();
    return py::make_tuple(count.kept, count.found);
  });
  m.def("_kept_code", &cpu::kept_machine_code);
  m.def("_planning_work", &planning_work);
  m.def("_get_precision", &get_precision);
  m.def("_set_precision", &set_precision);
}

}  // namespace lazulite::bind
