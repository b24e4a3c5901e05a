#include "../common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

// How often an idle thread looks for work before it sleeps: about 50 microseconds.
#define SPINS 400

struct qk_pool {
  size_t threads;
  pthread_t *workers;
  size_t started;

  // The current job. Written by the caller before `epoch` is raised.
  qk_task_fn task;
  void *context;
  size_t count;
  _Atomic size_t next;    // index of the next task
  _Atomic size_t running; // workers that have not finished the job

  _Atomic unsigned epoch; // number of the job; a change is the signal
  _Atomic unsigned sleepers;
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

static void work(struct qk_pool *pool, size_t thread) {
  for (;;) {
    const size_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (index >= pool->count) return;
    pool->task(pool->context, index, thread);
  }
}

static void wait_for_job(struct qk_pool *pool, unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&pool->epoch, memory_order_acquire) != seen) return;
    relax();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (atomic_load(&pool->epoch) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void raise_epoch(struct qk_pool *pool) {
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->sleepers) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument) {
  const struct worker self = *(struct worker *)argument;
  free(argument);
  unsigned seen = 0;
  for (;;) {
    wait_for_job(self.pool, seen);
    seen++;
    if (atomic_load(&self.pool->stopping)) return NULL;
    work(self.pool, self.thread);
    atomic_fetch_sub_explicit(&self.pool->running, 1, memory_order_release);
  }
}

struct qk_pool *qk_pool_create(size_t threads) {
  struct qk_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
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
  raise_epoch(pool);
  for (size_t i = 1; i <= pool->started; i++) pthread_join(pool->workers[i], NULL);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->workers);
  free(pool);
}

size_t qk_pool_threads(const struct qk_pool *pool) { return pool->threads; }

void qk_pool_run(struct qk_pool *pool, size_t count, void *context, qk_task_fn task) {
  if (pool->threads == 1 || count <= 1) {
    for (size_t i = 0; i < count; i++) task(context, i, 0);
    return;
  }
  pool->task = task;
  pool->context = context;
  pool->count = count;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  atomic_store_explicit(&pool->running, pool->threads - 1, memory_order_relaxed);
  raise_epoch(pool);
  work(pool, 0);
  for (size_t i = 1; atomic_load_explicit(&pool->running, memory_order_acquire) != 0; i++) {
    if (i % SPINS == 0) sched_yield();
    else relax();
  }
}
