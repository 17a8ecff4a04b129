//! The generated messages of `proto/consensus.proto`.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("trivet.consensus.v1");
