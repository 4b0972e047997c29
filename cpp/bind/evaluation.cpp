// eval and its relatives, memory, threads.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "bind/trees.h"
#include "device/cpu/allocator.h"
#include "device/cpu/expressions.h"
#include "device/cpu/features.h"
#include "device/cpu/openblas.h"
#include "device/cpu/pool.h"
#include "eval/compare.h"
#include "eval/eval.h"
#include "eval/pending.h"
#include "eval/plan.h"
#include "eval/profile.h"
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

// A number of bytes.
int64_t checked_bytes(int64_t v, const char* op) {
  if (v < 0) fail(Kind::value, op, "negative: got ", v, " bytes");
  return v;
}

void add_rows(Functions& m) {
  m.def("plan(*arrays, width=None)",
        [](PyObject* args, const std::optional<int>& width) {
              const std::vector<array> arrays = arrays_of(args, "plan", Values::refused);
              return py::cast(plan(arrays, width.value_or(default_plan_width()))).release().ptr();
            },
        "What eval would do for arrays (and trees of them), in order: an object that prints, "
        "with `steps` and the predicted\n"
        "`peak_bytes` beyond what is alive. Nothing is computed. `width` asks for the "
        "reference's width-limited order (0: the\n"
        "planner's own; default: the environment variable LAZULITE_BFS_MAX_WIDTH or "
        "MLX_BFS_MAX_WIDTH).\n\n"
        ">>> print(mx.plan(mx.exp(mx.array([1.0]) + 1)))\n"
        "0  fused {add exp*}  float32(1,)\n"
        "predicted peak: 4 bytes");
  m.def("_print_graph(*arrays)",
        [](PyObject* args) {
              const std::vector<array> arrays = arrays_of(args, "print_graph", Values::refused);
              return graph_text(arrays);
            },
        "What is pending, a line per op in order of evaluation.");
  m.def("_export_to_dot(*arrays)",
        [](PyObject* args) {
              const std::vector<array> arrays = arrays_of(args, "export_to_dot", Values::refused);
              return graph_dot(arrays);
            },
        "What is pending, in Graphviz's language.");
  m.def("get_active_memory()",
        [] { return int64_t(cpu::get_active_memory()); },
        "Bytes of the arrays that are alive.\n\n"
        ">>> mx.get_active_memory() >= 0\n"
        "True");
  m.def("get_peak_memory()",
        [] { return int64_t(cpu::get_peak_memory()); },
        "The most bytes that were alive since the start or reset_peak_memory.\n\n"
        ">>> a = mx.ones(3) + 1\n"
        ">>> mx.eval(a)\n"
        ">>> mx.get_peak_memory() >= 12\n"
        "True");
  m.def("reset_peak_memory()",
        [] {
              cpu::reset_peak_memory();
            },
        "The peak is 0 until the next allocation, which counts all that is alive.\n\n"
        ">>> mx.reset_peak_memory()");
  m.def("get_cache_memory()",
        [] { return int64_t(cpu::get_cache_memory()); },
        "Bytes kept for later arrays.\n\n"
        ">>> mx.get_cache_memory() >= 0\n"
        "True");
  m.def("clear_cache()",
        [] {
              cpu::clear_cache();
            },
        "Gives the cache back to the system.\n\n"
        ">>> mx.clear_cache()");
  m.def("get_memory_limit()",
        [] { return int64_t(cpu::get_memory_limit()); },
        "The bound on active memory, in bytes.\n\n"
        ">>> mx.get_memory_limit() > 0\n"
        "True");
  m.def("set_memory_limit(limit)",
        [](int64_t n) {
              return int64_t(cpu::set_memory_limit(checked_bytes(n, "set_memory_limit")));
            },
        "Bounds active memory, in bytes; what would go beyond raises MemoryError. Returns "
        "the old limit.\n\n"
        ">>> old = mx.set_memory_limit(10**10)\n"
        ">>> mx.set_memory_limit(old)\n"
        "10000000000");
  m.def("set_cache_limit(limit)",
        [](int64_t n) {
              return int64_t(cpu::set_cache_limit(checked_bytes(n, "set_cache_limit")));
            },
        "Bounds the cache, in bytes. Returns the old limit.\n\n"
        ">>> old = mx.set_cache_limit(10**9)\n"
        ">>> mx.set_cache_limit(old)\n"
        "1000000000");
  m.def("get_pending_limit()",
        [] { return int64_t(get_pending_limit()); },
        "How many recorded operations may wait for their evaluation; 0: any number.\n\n"
        ">>> mx.get_pending_limit()\n"
        "32768");
  m.def("set_pending_limit(limit)",
        [](int64_t limit) { return int64_t(set_pending_limit(limit)); },
        "Bounds recorded operations that wait for their evaluation: beyond, what is recorded "
        "is computed by itself, outside of transforms. 0: no bound. Returns the old limit.\n\n"
        ">>> old = mx.set_pending_limit(100000)\n"
        ">>> mx.set_pending_limit(old)\n"
        "100000");
  m.def("set_wired_limit(limit)",
        [](int64_t n) {
              static int64_t wired = 0;
              return int64_t(std::exchange(wired, checked_bytes(n, "set_wired_limit")));
            },
        "Kept for programs that set it: a CPU's memory is not wired. Returns the old limit, "
        "in bytes.\n\n"
        ">>> mx.set_wired_limit(0)\n"
        "0");
  m.def("num_threads()",
        [] { return int64_t(cpu::num_threads()); },
        "Threads that one computation may use.\n\n"
        ">>> mx.num_threads() >= 1\n"
        "True");
  m.def("set_num_threads(n)",
        [](int n) {
              cpu::set_num_threads(n);
            },
        "Sets the number of threads, 1 to 1024. Results keep their bits.\n\n"
        ">>> mx.set_num_threads(mx.num_threads())");
}
const Register rows{add_rows};

}  // namespace

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
  m.def("_set_least_absorbed", &set_least_absorbed);
  m.def("_set_least_joined", &cpu::set_least_joined);
  m.def("_planning_work", &planning_work);
  m.def("_get_precision", &get_precision);
  m.def("_set_precision", &set_precision);
}

}  // namespace lazulite::bind
