#include "../common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

// How long an idle thread looks for work before it sleeps. Waking it takes a sixth of that, and most steps that run on
// one thread take less.
#define SPIN_NANOSECONDS 100000
// Looks between two on the clock, or two offers of the core to others.
#define SPINS 64

// Index of no task, while a job is being written.
#define CLOSED UINT32_MAX

struct qk_pool {
  size_t threads;
  pthread_t *workers;
  size_t started;

  // The current job. Its number and the index of its next task are one word: who takes a task has read the job it
  // belongs to, and nobody waits for threads that have taken none.
  _Alignas(64) _Atomic uint64_t next;
  _Atomic(qk_task_fn) task;
  _Atomic(void *) context;
  _Atomic uint32_t count;
  _Alignas(64) _Atomic uint32_t done; // tasks

  _Alignas(64) _Atomic unsigned sleepers;
  _Atomic int stopping;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
};

struct worker {
  struct qk_pool *pool;
  size_t thread;
};

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static uint32_t number_of(uint64_t next) { return (uint32_t)(next >> 32); }

// Neighbouring tasks that a thread takes at once: a share of those left, so that tasks that read the same memory mostly
// run on one thread, and the last are single.
static uint32_t tasks_at_once(const struct qk_pool *pool, uint32_t left) {
  const uint32_t share = left / (4 * (uint32_t)pool->threads);
  return share < 1 ? 1 : share;
}

// Runs tasks until none is left.
static void work(struct qk_pool *pool, size_t thread) {
  for (;;) {
    uint64_t next = atomic_load_explicit(&pool->next, memory_order_acquire);
    const uint32_t count = atomic_load_explicit(&pool->count, memory_order_relaxed);
    const qk_task_fn task = atomic_load_explicit(&pool->task, memory_order_relaxed);
    void *const context = atomic_load_explicit(&pool->context, memory_order_relaxed);
    const uint32_t index = (uint32_t)next;
    if (index >= count) return;
    // Fails where the job has been replaced while it was read.
    atomic_thread_fence(memory_order_acquire);
    const uint32_t taken = tasks_at_once(pool, count - index);
    if (!atomic_compare_exchange_strong(&pool->next, &next, next + taken)) continue;
    for (uint32_t i = 0; i < taken; i++) task(context, index + i, thread);
    atomic_fetch_add_explicit(&pool->done, taken, memory_order_release);
  }
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Returns the number of a job other than `seen`.
static uint32_t wait_for_job(struct qk_pool *pool, uint32_t seen) {
  const int64_t end = nanoseconds() + SPIN_NANOSECONDS;
  do {
    for (int i = 0; i < SPINS; i++) {
      const uint32_t number = number_of(atomic_load_explicit(&pool->next, memory_order_acquire));
      if (number != seen) return number;
      relax();
    }
  } while (nanoseconds() < end);
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  uint32_t number;
  while ((number = number_of(atomic_load(&pool->next))) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return number;
}

// Replaces the current job, whose tasks are done.
static void publish(struct qk_pool *pool, uint32_t count, void *context, qk_task_fn task) {
  const uint32_t number = number_of(atomic_load_explicit(&pool->next, memory_order_relaxed));
  atomic_store_explicit(&pool->next, (uint64_t)number << 32 | CLOSED, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  atomic_store_explicit(&pool->count, count, memory_order_relaxed);
  atomic_store_explicit(&pool->task, task, memory_order_relaxed);
  atomic_store_explicit(&pool->context, context, memory_order_relaxed);
  atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
  atomic_store(&pool->next, (uint64_t)(uint32_t)(number + 1) << 32);
  if (atomic_load(&pool->sleepers) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument) {
  const struct worker self = *(struct worker *)argument;
  free(argument);
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_job(self.pool, seen);
    if (atomic_load(&self.pool->stopping)) return NULL;
    work(self.pool, self.thread);
  }
}

struct qk_pool *qk_pool_create(size_t threads) {
  struct qk_pool *pool = aligned_alloc(64, sizeof *pool);
  if (pool == NULL) return NULL;
  memset(pool, 0, sizeof *pool);
  pool->threads = threads < 1 ? 1 : threads;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pool->workers = calloc(pool->threads, sizeof *pool->workers);
  bool complete = pool->workers != NULL;
  for (size_t i = 1; complete && i < pool->threads; i++) {
    struct worker *self = malloc(sizeof *self);
    if (self != NULL) *self = (struct worker){pool, i};
    complete = self != NULL && pthread_create(&pool->workers[i], NULL, worker_main, self) == 0;
    if (complete) pool->started++;
    else free(self);
  }
  if (complete) return pool;
  qk_pool_destroy(pool);
  return NULL;
}

void qk_pool_destroy(struct qk_pool *pool) {
  if (pool == NULL) return;
  atomic_store(&pool->stopping, 1);
  publish(pool, 0, NULL, NULL);
  for (size_t i = 1; i <= pool->started; i++) pthread_join(pool->workers[i], NULL);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->workers);
  free(pool);
}

size_t qk_pool_threads(const struct qk_pool *pool) { return pool->threads; }

void qk_pool_run(struct qk_pool *pool, size_t count, void *context, qk_task_fn task) {
  if (pool->threads == 1 || count <= 1 || count >= CLOSED) {
    for (size_t i = 0; i < count; i++) task(context, i, 0);
    return;
  }
  publish(pool, (uint32_t)count, context, task);
  work(pool, 0);
  for (size_t i = 1; atomic_load_explicit(&pool->done, memory_order_acquire) != count; i++) {
    if (i % SPINS == 0) sched_yield();
    else relax();
  }
}
