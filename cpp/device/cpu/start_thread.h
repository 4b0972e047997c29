// Threads of our own.
#pragma once

#include <signal.h>

#include <exception>
#include <thread>
#include <utility>

namespace lazulite::cpu {

// Starts a detached thread that takes no signals: handlers belong to the application's threads.
// False: there is none to be had.
template <class F>
bool start_thread(F&& run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    std::thread(std::forward<F>(run)).detach();
  } catch (const std::exception&) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace lazulite::cpu
