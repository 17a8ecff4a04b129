//! Compiles the wire and disk formats; `protox` reads them in Rust, so no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=examples/etcd_kv.proto");
    let files = ["proto/consensus.proto", "examples/etcd_kv.proto"];
    let formats = protox::compile(files, ["proto", "examples"])?;
    tonic_prost_build::configure()
        .bytes(".")
        // What is stored has one encoding, the same on every node.
        .btree_map(".")
        .compile_fds(formats)?;
    Ok(())
}
