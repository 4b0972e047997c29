// Streams: queues of tasks that run in the background, each in its order.
//
// Threads are made when there is something to do, up to `most_stream_threads` for all streams
// together, and end when they have been idle for some seconds. A free thread takes the task that
// was queued first among those at the heads of their streams: tasks that wait only for tasks queued
// before them always come to an end, however many streams there are. No thread here ever takes the
// GIL. After a fork the child starts with nothing queued.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "device/cpu/pool.h"

namespace lazulite::cpu {

constexpr int most_stream_threads = 16;

// Queues a task. What a task throws is dropped: a task reports errors by itself. `queue_async` does
// it without starting or waking anybody, so that it may be called under a lock that tasks take;
// `start_async` must follow.
void queue_async(uint32_t stream, std::function<void()> task);
void start_async();
inline void run_async(uint32_t stream, std::function<void()> task) {
  queue_async(stream, std::move(task));
  start_async();
}

// Returns when all that had been queued before is done and destroyed; from a task of the same
// stream at once. Meanwhile `between` is called about every 50 ms; what it throws ends the waiting.
void wait_async(uint32_t stream, FunctionRef<void()> between);
void wait_async(uint32_t stream);

// Background threads that exist now.
int stream_threads();

// For the one set of fork handlers, in pool.cpp.
void rest_streams_for_fork(std::chrono::seconds most);
void forget_streams_in_child();

}  // namespace lazulite::cpu
