//! What the benchmarks compute and write, apart from the measuring itself (`benches/speed`).
//!
//! | module | what it does |
//! |---|---|
//! | [`spread`] | a figure over several rounds: median, lowest, highest |
//! | [`windows`] | the pace of a long run, window by window, and how flat it is |
//! | [`process`] | processor time and memory of processes, from `/proc` |
//! | [`document`] | tables, and the marked parts of a document that hold them |

pub mod document;
pub mod process;
pub mod spread;
pub mod windows;
