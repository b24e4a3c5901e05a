#pragma once

/* Clean-up that must happen inside a signal handler: async-signal-safe, hence in C. */

/// Remembers a temporary file that a fatal signal shall remove.
///
/// Returns a slot for `qc_forget_temporary`, or -1 when all slots are taken or the path is too long;
/// the file is then left to the next run's sweep.
int qc_remember_temporary(const char *path);

/// Forgets a remembered file; -1 is ignored.
void qc_forget_temporary(int slot);

/// Installs handlers: SIGINT, SIGTERM and SIGHUP remove the remembered files and end the process as the
/// signal would have; a SIGBUS from a truncated mapped file also prints `bus_message` and exits with 1.
///
/// `bus_message` must live as long as the process. A signal that is ignored stays ignored.
void qc_install_handlers(const char *bus_message);

/// Lets the next SIGINT or SIGTERM be told by `qc_is_interrupted` in place of ending the process.
///
/// The signal after that ends it, as `qc_install_handlers` says. A signal that is ignored stays ignored.
void qc_catch_interrupts(void);

/// Whether a signal came since `qc_catch_interrupts`.
int qc_is_interrupted(void);

/// Ignores SIGPIPE and SIGXFSZ, so that writes report EPIPE and EFBIG instead of ending the process.
void qc_ignore_write_signals(void);
