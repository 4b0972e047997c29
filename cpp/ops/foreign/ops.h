// The op of this room: for the files of this room.
#pragma once
#include "ops/foreign/foreign.h"
#include "ops/rooms.h"

namespace lazulite {

struct Foreign : Attrs {
  const ForeignCall call;
  explicit Foreign(ForeignCall c) : call(std::move(c)) {}
  bool equal(const Attrs&) const override;
  size_t hash() const override;
  void print(std::ostream&) const override;
};

extern const Op foreign_op;

}  // namespace lazulite
