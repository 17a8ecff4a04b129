//! Compiles the interface that the benchmark speaks to etcd and to our node.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = "../services/consensus/examples";
    println!("cargo::rerun-if-changed={folder}/etcd_kv.proto");
    let interface = protox::compile(["etcd_kv.proto"], [folder])?;
    tonic_prost_build::configure()
        .bytes(".")
        .build_server(false)
        .compile_fds(interface)?;
    Ok(())
}
