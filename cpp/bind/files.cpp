// Files that arrays are read from, for core/_io.py.
#include <pybind11/pybind11.h>
#include <unistd.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "ops/files/files.h"

namespace py = pybind11;

namespace lazulite::bind {

void add_files(py::module_& m) {
  struct Opened {
    Ref<File> file;
  };
  py::class_<Opened>(m, "_File")
      .def(py::init(
          [](int fd, std::string name) { return Opened{make_ref<File>(fd, std::move(name))}; }))
      .def("array",
           [](const Opened& f, int64_t offset, py::handle shape, py::handle dtype, int swap) {
             return py::reinterpret_steal<py::object>(
                 wrap(load_array(f.file, offset, From<Shape>::of(shape.ptr(), "load"),
                                 From<Dtype>::of(dtype.ptr(), "load"), swap)));
           });
}

}  // namespace lazulite::bind
