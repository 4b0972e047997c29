// Files that arrays are read from, for core/_io.py.
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "ops/files/inflate.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

// Bytes that Python holds.
struct Held : File {
  Held(PyObject* bytes, std::string name)
      : File(std::move(name)),
        data(PyBytes_AS_STRING(bytes)),
        size(PyBytes_GET_SIZE(bytes)),
        owner(Py_NewRef(bytes)) {}
  ~Held() override {
    release_python([](void* o) { Py_DECREF(static_cast<PyObject*>(o)); }, owner);
  }
  int64_t read(char* to, int64_t n, int64_t at) const override {
    n = at < 0 ? 0 : std::clamp<int64_t>(size - at, 0, n);
    if (n) std::memcpy(to, data + at, size_t(n));
    return n;
  }
  const char* const data;
  const int64_t size;
  PyObject* const owner;
};

struct Opened {
  Ref<File> file;
};

const BlockFormat& blocks_of(const std::string& name) {
  const BlockFormat* found = find_blocks(name);
  if (!found) fail(Kind::value, "load", "no such blocks: got ", name);
  return *found;
}

}  // namespace

void add_files(py::module_& m) {
  py::class_<Opened>(m, "_File")
      .def(py::init([](int fd, std::string name) { return Opened{file_of(fd, std::move(name))}; }))
      .def(py::init([](const py::bytes& data, std::string name) {
        return Opened{Ref<File>(new Held(data.ptr(), std::move(name)))};
      }))
      // What compressed bytes of it stand for, as a file of its own; where _can_inflate().
      .def("inflated",
           [](const Opened& f, int64_t begin, int64_t packed, int64_t size, uint32_t checksum,
              std::string name) {
             return Opened{Ref<File>(new Deflated({f.file, begin, packed, size, checksum},
                                                  std::move(name)))};
           })
      .def("array",
           [](const Opened& f, int64_t offset, py::handle shape, py::handle dtype, int swap) {
             return py::reinterpret_steal<py::object>(
                 wrap(load_array(f.file, offset, From<Shape>::of(shape.ptr(), "load"),
                                 From<Dtype>::of(dtype.ptr(), "load"), swap)));
           })
      .def("blocks",
           [](const Opened& f, int64_t offset, py::handle shape, const std::string& name) {
             return py::reinterpret_steal<py::object>(wrap(load_blocks(
                 f.file, offset, From<Shape>::of(shape.ptr(), "load"), blocks_of(name))));
           });
  m.def("_can_inflate", &can_inflate);
  // (bytes, numbers) of a block.
  m.def("_block_sizes", [](const std::string& name) {
    const BlockFormat& format = blocks_of(name);
    return py::make_tuple(format.bytes, format.numbers);
  });
}

}  // namespace lazulite::bind
