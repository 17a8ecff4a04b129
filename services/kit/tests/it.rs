//! The kit from outside: real sockets, real files, real processes.

/// Only so that the modules lie in `tests/it/`, where cargo takes none for a test of its own.
mod it {
    mod attacks;
    mod backup_retention;
    mod backup_schedule;
    mod backups;
    mod certificates;
    mod client;
    mod commands;
    mod endpoints;
    mod process;
    mod rate;
    mod rotation;
    mod server;
    mod settings;
    mod telemetry;
    mod tokens;
}
