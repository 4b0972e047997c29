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
  const BlockFormat* blocks;  // null: plain numbers
  FilePlace(Ref<File> f, int64_t o, Spec s, int w, const BlockFormat* b)
      : file(std::move(f)), offset(o), spec(std::move(s)), swap(w), blocks(b) {}
  int64_t bytes() const {  // in the file
    const int64_t n = size_of(spec.shape);
    return blocks ? n / blocks->numbers * blocks->bytes : n * size_of(spec.type);
  }
  void print(std::ostream& out) const override {
    out << "offset=" << offset;
    if (blocks) out << ", blocks=" << blocks->name;
    if (file) out << ", file=" << file->name;
  }
};

extern const Op load_op;

}  // namespace lazulite
