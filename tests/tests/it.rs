//! What can be seen of the repository and its clusters from outside, a module a subject.

#[path = "it/containers.rs"]
mod containers;
#[path = "it/house.rs"]
mod house;
#[path = "it/monitoring.rs"]
mod monitoring;
