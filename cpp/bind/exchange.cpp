// Containers of the caller: their arrays are exchanged for traced ones while a function runs. What
// is a traced array afterwards becomes the array from before; what the function put there stays.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.h"
#include "bind/array_class.h"
#include "bind/lent.h"
#include "bind/module.h"
#include "bind/tree_walk.h"
#include "graph/stand_ins.h"
#include "graph/trace.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

// Lists and dicts stay the objects that they are; tuples and records are made anew.
bool stays(Branch kind) { return kind == Branch::dict || kind == Branch::list; }

void set_part(PyObject* container, const Keys& keys, size_t i, PyObject* value) {
  const int failed =
      keys.kind == Branch::dict
          ? PyDict_SetItem(container, keys.names[i].ptr(), value)
          : PyList_SetItem(container, Py_ssize_t(i), Py_NewRef(value));
  if (failed) throw PythonError{};
}

// A container that is gone through, on a stack of its own: no tree is too deep.
struct Level {
  Level(PyObject* o, Branch kind, PyObject* p = nullptr)
      : value(borrow(o)),
        place(p ? borrow(p) : Object()),
        keys(p && kind == Branch::dict ? p : o, kind) {  // of a dict those that the template has
    if (p && kind == Branch::dict) keys.plain = is_plain_dict(o);
  }
  Object value, place;
  Keys keys;
  size_t next = 0;
  Object old;       // what stands at the key before `next`
  py::list parts;   // what tuples and records are made of
  bool same = true;
};

[[noreturn]] void changed_meanwhile() {  // by another thread
  fail(Kind::value, "transform", "arguments that change while they are read");
}

// Traced arrays that another thread may have put its own over: what stood there before they did,
// for that thread to put back when this one is done.
class Gone {
 public:
  void add(const Object& traced, const Object& before) {
    all_.insert_or_assign(traced.ptr(), Entry{traced, this->before(before), next_sequence()});
  }
  Object before(Object value) const {
    for (auto at = all_.find(value.ptr()); at != all_.end(); at = all_.find(value.ptr()))
      value = at->second.before;
    return value;
  }
  int readers = 0;  // that follow what they have read to what it stood for
  // Leaves out what no open transform can have met.
  void drop() {
    if (all_.empty() || readers) return;
    const uint64_t oldest = stand_ins::oldest();
    std::vector<Entry> dropped;  // dies last: that may run Python code
    for (auto at = all_.begin(); at != all_.end();) {
      if (at->second.since > oldest) {
        ++at;
        continue;
      }
      dropped.push_back(std::move(at->second));
      at = all_.erase(at);
    }
  }

 private:
  struct Entry {
    Object traced, before;
    uint64_t since;
  };
  std::unordered_map<PyObject*, Entry> all_;  // the GIL guards it
};
Gone& gone() {
  static auto* one = new Gone;
  return *one;
}

class Exchanged {
 public:
  Exchanged() { all().push_back(this); }
  Exchanged(const Exchanged&) = delete;
  ~Exchanged() {
    std::erase(all(), this);
    gone().drop();
  }
  static std::vector<Exchanged*>& all() {  // the GIL guards it
    static auto* one = new std::vector<Exchanged*>;
    return *one;
  }
  void add_to(std::vector<Object>& out) const {
    for (const auto& [traced, noted] : arrays_) out.push_back(noted.traced);
  }
  PyObject* stood_under(PyObject* traced) const {
    const auto found = arrays_.find(traced);
    return found == arrays_.end() ? nullptr : found->second.before.ptr();
  }

  // `value`, whose template is `place`, with traced arrays.
  Object put(Object value, Object place, py::list traced) {
    std::vector<Level> levels;
    Object now;
    auto visit = [&](PyObject* o, PyObject* at) {
      if (Py_TYPE(at) == reinterpret_cast<PyTypeObject*>(leaf_class())) {
        now = borrow(traced[py::handle(at).attr("index").cast<size_t>()].ptr());
        note(now, o);
        return true;
      }
      const Branch kind = branch_of(o);
      now = borrow(o);
      // What is left out of a tree of parameters is an empty dict there.
      if (kind == Branch::none || (PyDict_CheckExact(at) && !PyDict_GET_SIZE(at))) return true;
      if (branch_of(at) != kind) changed_meanwhile();
      if (stays(kind)) containers_.push_back(now);
      levels.emplace_back(o, kind, at);
      return false;
    };
    if (visit(value.ptr(), place.ptr())) return now;
    while (true) {
      Level& top = levels.back();
      if (top.next == top.keys.count) {
        now = top.value;
        if (!stays(top.keys.kind)) {
          now = rebuilt(top.value.ptr(), top.parts.ptr());
          tuples_[now.ptr()] = {now, top.value};
        }
        levels.pop_back();
        if (levels.empty()) return now;
      } else {
        const size_t i = top.next++;
        top.old = part_of(top.value.ptr(), top.keys, i);
        const Object at = part_of(top.place.ptr(), top.keys, i);
        const Object given = is_array(top.old.ptr()) ? before(top.old.ptr()) : top.old;
        if (!visit(given.ptr(), at.ptr())) continue;
      }
      Level& above = levels.back();
      if (!stays(above.keys.kind)) above.parts.append(now);
      else if (!now.is(above.old))
        set_part(above.value.ptr(), above.keys, above.next - 1, now.ptr());
    }
  }

  void put_back() {
    // What dies may run Python code: nothing here holds it then.
    const auto containers = std::move(containers_);
    std::unordered_set<PyObject*> seen;
    for (const Object& container : containers) put_back(container.ptr(), seen);
    const auto arrays = std::exchange(arrays_, {});
    if (gone().readers || stand_ins::others())
      for (const auto& [traced, noted] : arrays) gone().add(noted.traced, noted.before);
    std::exchange(tuples_, {});
  }

 private:
  struct Noted {
    Object traced, before;
    array handle;  // that the traced one began with
  };

  void note(const Object& traced, PyObject* before) {
    if (!is_array(traced.ptr()) || !is_array(before)) changed_meanwhile();
    arrays_.insert_or_assign(traced.ptr(), Noted{traced, borrow(before), unwrap(traced.ptr())});
    stand_ins::put(unwrap(traced.ptr()), unwrap(before));
    lent::put(traced.ptr(), before, true);
  }

  // The array from before, unless the function has given this one another value. Another thread may
  // have put its own between two of this one's.
  Object before(PyObject* value) const {
    Object at = borrow(value);
    while (true) {
      const auto found = arrays_.find(at.ptr());
      if (found == arrays_.end() || !peek(at.ptr()).same(found->second.handle)) return at;
      at = gone().before(found->second.before);
    }
  }

  void put_back(PyObject* container, std::unordered_set<PyObject*>& seen) {
    std::vector<Level> levels;
    std::unordered_set<PyObject*> records;  // among them: these may hold themselves
    Object now;
    auto visit = [&](PyObject* o) {
      now = is_array(o) ? before(o) : borrow(o);
      const Branch kind = is_array(o) ? Branch::none : branch_of(o);
      if (kind == Branch::none || (stays(kind) && !seen.insert(o).second)) return true;
      if (kind == Branch::record && !records.insert(o).second) return true;
      levels.emplace_back(o, kind);
      return false;
    };
    if (visit(container)) return;
    while (true) {
      Level& top = levels.back();
      if (top.next == top.keys.count) {
        now = top.value;
        if (!stays(top.keys.kind) && !top.same) now = as_before(top);
        records.erase(top.value.ptr());
        levels.pop_back();
        if (levels.empty()) return;
      } else {
        top.old = part_of(top.value.ptr(), top.keys, top.next++);
        if (!visit(Object(top.old).ptr())) continue;
      }
      Level& above = levels.back();
      const bool changed = !now.is(above.old);
      above.same = above.same && !changed;
      if (!stays(above.keys.kind)) above.parts.append(now);
      else if (changed)
        set_part(above.value.ptr(), above.keys, above.next - 1, now.ptr());
    }
  }

  // A tuple or record with other parts: the one from before, where it had these.
  Object as_before(const Level& level) const {
    const auto found = tuples_.find(level.value.ptr());
    if (found != tuples_.end()) {
      const Object& old = found->second.second;
      bool all = true;
      for (size_t i = 0; all && i < level.keys.count; ++i)
        all = part_of(old.ptr(), level.keys, i).ptr() ==
              PyList_GET_ITEM(level.parts.ptr(), Py_ssize_t(i));
      if (all) return old;
    }
    return rebuilt(level.value.ptr(), level.parts.ptr());
  }

  std::unordered_map<PyObject*, Noted> arrays_;
  std::unordered_map<PyObject*, std::pair<Object, Object>> tuples_;  // made of those from before
  std::vector<Object> containers_;
};

}  // namespace

std::vector<Object> lent::stood_there(PyObject* o) {
  std::vector<Object> found;
  for (Object at = borrow(o);;) {
    Object next = gone().before(at);
    if (next.is(at))
      for (const Exchanged* one : Exchanged::all())
        if (PyObject* const under = one->stood_under(at.ptr())) next = borrow(under);
    if (next.is(at)) return found;
    found.push_back(next);
    at = next;
  }
}

std::vector<Object> lent::standing() {
  std::vector<Object> found;
  for (const Exchanged* one : Exchanged::all()) one->add_to(found);
  return found;
}

void add_exchange(py::module_& m) {
  py::class_<Exchanged>(m, "_Exchanged")
      .def(py::init<>())
      .def("put", &Exchanged::put)
      .def("put_back", static_cast<void (Exchanged::*)()>(&Exchanged::put_back));
  // An array that a module keeps: a constant to other threads, which may find it there.
  m.def("_note_kept", [](py::handle a, py::handle old) {
    if (!is_array(a.ptr())) return;
    stand_ins::put(peek(a.ptr()));
    lent::put(a.ptr(), old.ptr());
  });
  // What stood where another thread's transform put its own, where that has ended.
  m.def("_before", [](py::handle a) { return py::object(gone().before(borrow(a.ptr()))); });
  m.def("_stood_there", [](py::handle a) {
    py::list out;
    for (const Object& one : lent::stood_there(a.ptr())) out.append(one);
    return out;
  });
  // To be called with 1 before and -1 after objects are read that _stood_there is asked about.
  m.def("_follow_exchanges", [](int n) { gone().readers += n; });
  m.def("_met", [](py::handle a) { return lent::met(a.ptr()); });
}

}  // namespace lazulite::bind
