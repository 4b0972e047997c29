// The op of this room and its attributes: for the files of this room.
#pragma once
#include "ops/files/files.h"
#include "ops/rooms.h"

namespace lazulite {

struct FilePlace : OwnAttrs {
  mutable Ref<File> file;
  int64_t offset;
  Spec spec;
  int swap;
  FilePlace(Ref<File> f, int64_t o, Spec s, int w)
      : file(std::move(f)), offset(o), spec(std::move(s)), swap(w) {}
  void print(std::ostream& out) const override {
    out << "offset=" << offset << (file ? ", file=" + file->name : "");
  }
};

extern const Op load_op;

}  // namespace lazulite
