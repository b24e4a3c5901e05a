#include "CSignals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { slot_count = 32, path_bytes = 4096 };
enum { slot_free, slot_filling, slot_used };

static struct {
  atomic_int state;
  char path[path_bytes];
} slots[slot_count];

static const char *bus_text = "";

int qc_remember_temporary(const char *path) {
  size_t length = strlen(path);
  if (length >= path_bytes) return -1;
  for (int i = 0; i < slot_count; i++) {
    int expected = slot_free;
    if (!atomic_compare_exchange_strong(&slots[i].state, &expected, slot_filling)) continue;
    memcpy(slots[i].path, path, length + 1);
    atomic_store(&slots[i].state, slot_used);
    return i;
  }
  return -1;
}

void qc_forget_temporary(int slot) {
  if (slot >= 0 && slot < slot_count) atomic_store(&slots[slot].state, slot_free);
}

static void remove_temporaries(void) {
  for (int i = 0; i < slot_count; i++) {
    if (atomic_load(&slots[i].state) == slot_used) unlink(slots[i].path);
  }
}

static void end_by(int number) {
  signal(number, SIG_DFL);
  raise(number);
}

static void on_termination(int number) {
  remove_temporaries();
  end_by(number);
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
  (void)context;
  remove_temporaries();
  if (info->si_code != BUS_ADRERR) {
    end_by(number);
    return;
  }
  ssize_t written = write(STDERR_FILENO, bus_text, strlen(bus_text));
  (void)written;
  _exit(1);
}

static void install(int number, struct sigaction *action) {
  struct sigaction current;
  if (sigaction(number, NULL, &current) != 0 || current.sa_handler == SIG_IGN) return;
  sigaction(number, action, NULL);
}

void qc_install_handlers(const char *bus_message) {
  bus_text = bus_message;
  struct sigaction termination = {.sa_handler = on_termination};
  sigfillset(&termination.sa_mask);
  install(SIGINT, &termination);
  install(SIGTERM, &termination);
  install(SIGHUP, &termination);
  struct sigaction bus = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
  sigfillset(&bus.sa_mask);
  install(SIGBUS, &bus);
}

static atomic_int interrupted;

static void on_interruption(int number) {
  (void)number;
  atomic_store(&interrupted, 1);
  struct sigaction termination = {.sa_handler = on_termination};
  sigfillset(&termination.sa_mask);
  sigaction(SIGINT, &termination, NULL);
  sigaction(SIGTERM, &termination, NULL);
}

void qc_catch_interrupts(void) {
  atomic_store(&interrupted, 0);
  struct sigaction interruption = {.sa_handler = on_interruption, .sa_flags = SA_RESTART};
  sigfillset(&interruption.sa_mask);
  install(SIGINT, &interruption);
  install(SIGTERM, &interruption);
}

int qc_is_interrupted(void) { return atomic_load(&interrupted); }

void qc_ignore_write_signals(void) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}
