// How the process uses the machine: one core a thread, and memory that stays.
#pragma once

#include <functional>
#include <vector>

namespace demo {

// Once, at the start of main.
void prepare_process();

// Once in every thread that trains: LibTorch then works in that thread alone.
void use_one_core();

// Runs the jobs on all cores, each job on one: two networks on two cores train faster than one network on
// both, and a result cannot depend on the number of cores. An exception of a job is rethrown here.
void run_on_all_cores(std::vector<std::function<void()>> const& jobs);

}  // namespace demo
