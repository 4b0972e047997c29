// C++ errors to Python exceptions. Classes with two bases, so that a handler for either catches
// them.
#include <pybind11/pybind11.h>

#include <new>
#include <stdexcept>

#include "bind/array_class.h"
#include "bind/module.h"

namespace py = pybind11;

namespace lazulite::bind {

PyObject *argument_error, *index_error, *overflow_error, *file_error, *format_error, *linalg_error,
    *tracer_error, *element_error;

namespace {

PyObject* make(PyObject* module, const char* name, const char* doc,
               std::initializer_list<PyObject*> bases) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(bases.size()));
  Py_ssize_t i = 0;
  for (PyObject* base : bases) PyTuple_SET_ITEM(tuple, i++, Py_NewRef(base));
  const std::string full = std::string("lazulite.core.") + name;
  PyObject* made = PyErr_NewExceptionWithDoc(full.c_str(), doc, tuple, nullptr);
  Py_DECREF(tuple);
  if (!made) throw py::error_already_set();
  PyModule_AddObject(module, name, Py_NewRef(made));
  return made;
}

PyObject* class_of(Kind kind) {
  switch (kind) {
    case Kind::value: return PyExc_ValueError;
    case Kind::type: return PyExc_TypeError;
    case Kind::argument: return argument_error;
    case Kind::index: return index_error;
    case Kind::overflow: return overflow_error;
    case Kind::memory: return PyExc_MemoryError;
    case Kind::runtime: return PyExc_RuntimeError;
    case Kind::file: return file_error;
    case Kind::format: return format_error;
    case Kind::linalg: return linalg_error;
    case Kind::tracer: return tracer_error;
  }
  return PyExc_RuntimeError;
}

}  // namespace

void make_errors(PyObject* module) {
  argument_error =
      make(module, "ArgumentError", "An argument of the wrong kind: a TypeError and a ValueError.",
           {PyExc_TypeError, PyExc_ValueError});
  index_error = make(module, "ArrayIndexError",
                     "An axis or index out of range: an IndexError and a ValueError.",
                     {PyExc_IndexError, PyExc_ValueError});
  overflow_error = make(module, "ArrayOverflowError",
                        "A number that does not fit: an OverflowError and a ValueError.",
                        {PyExc_OverflowError, PyExc_ValueError});
  file_error =
      make(module, "FileError", "A file that is not there: a FileNotFoundError and a RuntimeError.",
           {PyExc_FileNotFoundError, PyExc_RuntimeError});
  // The text alone: of three arguments OSError makes one that begins with "[Errno 2]".
  const py::handle file(file_error);
  py::setattr(file, "__str__", py::cpp_function([](py::handle self) -> py::str {
                const py::object text = self.attr("strerror");
                if (!text.is_none()) return py::str(text);
                const py::tuple args = self.attr("args");
                return args.empty() ? py::str() : py::str(py::object(args[0]));
              }, py::is_method(file)));
  format_error =
      make(module, "FormatError", "A file that cannot be read: a ValueError and a RuntimeError.",
           {PyExc_ValueError, PyExc_RuntimeError});
  element_error = make(module, "ArrayElementError",
                       "An object among numbers that is none: a ValueError and a TypeError.",
                       {PyExc_ValueError, PyExc_TypeError});
  linalg_error = make(module, "LinAlgError",
                      "A matrix without the wanted property: a RuntimeError and a ValueError.",
                      {PyExc_RuntimeError, PyExc_ValueError});
  tracer_error = make(module, "TracerError",
                      "An array without a value: it exists only while vmap or compile trace a "
                      "function. A ValueError and a RuntimeError.",
                      {PyExc_ValueError, PyExc_RuntimeError});
  // For functions bound by pybind11.
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const Error& e) {
      PyErr_SetString(class_of(e.kind()), e.what());
    } catch (const PythonError&) {  // set already
    }
  });
}

void set_error(const char* function) {
  try {
    throw;
  } catch (const PythonError&) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_SystemError, "an error without a message");
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const Error& e) {
    PyErr_SetString(class_of(e.kind()), e.named(function).what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::length_error&) {  // a vector of more elements than memory has bytes
    PyErr_NoMemory();
  } catch (const py::builtin_exception& e) {
    e.set_error();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

}  // namespace lazulite::bind
