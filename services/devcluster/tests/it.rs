//! Clusters of a toy system, started for real.

/// The modules lie in `it/`.
mod it {
    mod catalogue;
    mod command;
    mod faults;
    mod harness;
    mod lifecycle;
    mod membership;
}
