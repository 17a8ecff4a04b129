//! Machines of their own, each a container with a Docker engine in it, and the ledger on three of
//! them: by compose on each, and as a stack of a Swarm.
//!
//! The kernel here has no IPVS, so that no port is published by Swarm's routing mesh; the stack
//! publishes on each machine.

use std::process::Command;

use serde_json::Value;

use super::cluster::eventually;
use super::compose::{Project, docker, standin};
use super::image::{JWT_SECRET, Ledger, printed, root};
use super::strategies::Client;

/// What makes an engine run in a container that is not privileged.
const RIGHTS: [&str; 9] = [
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/tmp:exec",
    "--volume=/var/lib/docker",
];
/// The controllers are mounted for reading only in a container that is not privileged.
const ENGINE: &str = "for group in /sys/fs/cgroup/*/; do mount -o remount,bind,rw $group; done
exec dockerd --host=tcp://0.0.0.0:2375 --tls=false --storage-driver=overlay2";

/// Machines on a network of their own; all of it is removed when this is dropped.
struct Machines {
    network: String,
    addresses: Vec<String>,
}

impl Machines {
    /// Starts so many, and gives each the ledger's image under these tags.
    async fn start(count: usize, ledger: &Ledger, name: &str) -> Self {
        let image = standin();
        let network = format!("trivet-{name}-{}", std::process::id());
        printed(docker(None).args(["network", "create", &network]).output());
        let mut machines = Self {
            network,
            addresses: Vec::new(),
        };
        for number in 1..=count {
            let host = machines.host(number);
            let network = format!("--network={}", machines.network);
            let run = [
                "run",
                "--detach",
                "--name",
                &host,
                "--hostname",
                &host,
                &network,
            ];
            printed(
                docker(None)
                    .args(run)
                    .args(RIGHTS)
                    .args([&image, "bash", "-c", ENGINE])
                    .output(),
            );
            let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
            let address = docker(None)
                .args(["inspect", "--format", format, &host])
                .output();
            machines.addresses.push(printed(address).trim().to_owned());
        }
        for place in 0..count {
            eventually("an engine answers", async || {
                let version = machines
                    .docker(place)
                    .arg("version")
                    .output()
                    .expect("docker");
                if version.status.success() {
                    Ok(())
                } else {
                    Err(machines.logs(place))
                }
            })
            .await;
            let copy = format!(
                "docker save {} | docker --host={} load --quiet",
                ledger.image,
                machines.engine(place)
            );
            printed(Command::new("bash").args(["-c", &copy]).output());
            for tag in ["one", "two"] {
                let tag = format!("trivet/provchain:{tag}");
                printed(
                    machines
                        .docker(place)
                        .args(["tag", &ledger.image, &tag])
                        .output(),
                );
            }
        }
        machines
    }

    fn host(&self, number: usize) -> String {
        format!("{}-{number}", self.network)
    }

    fn engine(&self, place: usize) -> String {
        format!("tcp://{}:2375", self.addresses[place])
    }

    /// The client of a machine's engine.
    fn docker(&self, place: usize) -> Command {
        docker(Some(&self.engine(place)))
    }

    fn logs(&self, place: usize) -> String {
        let host = self.host(place + 1);
        let logs = docker(None).args(["logs", "--tail", "20", &host]).output();
        logs.map_or_else(
            |error| error.to_string(),
            |logs| String::from_utf8_lossy(&logs.stderr).into_owned(),
        )
    }

    /// The node on each machine, as clients reach it.
    fn clients(&self, ledger: &Ledger) -> Vec<Client> {
        let url = |address| format!("http://{address}:8080");
        self.addresses
            .iter()
            .map(|address| Client::at(&url(address), ledger))
            .collect()
    }

    /// Stops a machine where it stands, and lets it go on.
    fn pause(&self, place: usize, paused: bool) {
        let verb = if paused { "pause" } else { "unpause" };
        printed(docker(None).args([verb, &self.host(place + 1)]).output());
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for number in 1..=self.addresses.len() {
            let host = self.host(number);
            drop(
                docker(None)
                    .args(["rm", "--force", "--volumes", &host])
                    .output(),
            );
        }
        drop(docker(None).args(["network", "rm", &self.network]).output());
    }
}

/// Which machine has the leader, as all say.
async fn leader(clients: &[Client]) -> usize {
    eventually("all name one leader", async || {
        let mut leaders = Vec::new();
        for client in clients {
            let cluster: Value = client.get("/api/v1/cluster").await?;
            leaders.push(cluster["leader"].as_str().unwrap_or_default().to_owned());
        }
        leaders.dedup();
        let place = ["node1", "node2", "node3"]
            .iter()
            .position(|name| leaders == [*name]);
        place.ok_or_else(|| format!("{leaders:?}"))
    })
    .await
}

/// Three nodes take writes, go on without the machine of their leader, and agree once it is back.
async fn outlives_a_machine(machines: &Machines, clients: &[Client], documents: &[Value]) {
    for (client, document) in clients.iter().zip(documents) {
        client.capture(document).await;
    }
    clients[0].tree(15).await;
    eventually("all of them vote", async || {
        let cluster = clients[0].get("/api/v1/cluster").await?;
        let members = cluster["members"].as_array().cloned().unwrap_or_default();
        let voters = members.iter().filter(|member| member["voter"] == true);
        if voters.count() == clients.len() {
            Ok(())
        } else {
            Err(cluster.to_string())
        }
    })
    .await;
    let lost = leader(clients).await;
    machines.pause(lost, true);
    let other = &clients[(lost + 1) % 3];
    other.capture(&documents[3]).await;
    let tree = other.tree(20).await;
    machines.pause(lost, false);
    for client in clients {
        assert_eq!(client.tree(20).await, tree);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_machines_with_a_compose_file_each_outlive_one_of_them() {
    if super::engine().await.is_none() {
        return;
    }
    let ledger = Ledger::build();
    let machines = Machines::start(3, ledger, "compose").await;
    let at = |place: usize| format!("{}:8080", machines.addresses[place]);
    let project = |place: usize| {
        // As the document has it: each lists those before it, and the first nobody.
        let peers: Vec<String> = (0..place).map(at).collect();
        Project::new("provchain/docker-compose.node.yml", ledger, "0.0.0.0")
            .on(&machines.engine(place))
            .with("TAG", "one")
            .with("PEERS", &peers.join(","))
            .with("ADVERTISE", &at(place))
            .with("NODE_NAME", &format!("node{}", place + 1))
    };
    let projects = [project(0), project(1), project(2)];
    for project in &projects {
        project.up();
    }
    let clients = machines.clients(ledger);
    outlives_a_machine(&machines, &clients, &ledger.sample(20, 5)).await;
    for project in projects {
        assert_eq!(project.down(), "", "nothing is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_of_three_machines_is_rolled_node_by_node_and_taken_back_where_it_fails() {
    if super::engine().await.is_none() {
        return;
    }
    let ledger = Ledger::build();
    let machines = Machines::start(3, ledger, "swarm").await;
    let manager = |arguments: &[&str]| printed(machines.docker(0).args(arguments).output());
    manager(&["swarm", "init", "--advertise-addr", &machines.addresses[0]]);
    let token = manager(&["swarm", "join-token", "--quiet", "manager"]);
    for place in 1..3 {
        let address = format!("{}:2377", machines.addresses[0]);
        let join = ["swarm", "join", "--token", token.trim(), &address];
        printed(machines.docker(place).args(join).output());
    }
    for number in 1..=3 {
        let label = format!("provchain=node{number}");
        manager(&[
            "node",
            "update",
            "--label-add",
            &label,
            &machines.host(number),
        ]);
    }
    let secret = "printf %s \"$JWT_SECRET\" | docker secret create provchain_jwt_secret -";
    let on_manager = |command: &mut Command| {
        command
            .env("DOCKER_HOST", machines.engine(0))
            .env("JWT_SECRET", JWT_SECRET);
        let watched = [
            ("TAG", "one"),
            ("OPEN_FILES", "16384"),
            ("UPDATE_MONITOR", "3s"),
        ];
        command.envs(watched).output()
    };
    printed(on_manager(Command::new("bash").args(["-c", secret])));
    let stack = root().join("infra/provchain/stack.yml");
    let deploy = [
        "stack",
        "deploy",
        "--resolve-image",
        "never",
        "--compose-file",
    ];
    printed(on_manager(
        Command::new("docker")
            .args(deploy)
            .arg(stack)
            .arg("provchain"),
    ));

    let clients = machines.clients(ledger);
    let documents = ledger.sample(30, 5);
    outlives_a_machine(&machines, &clients, &documents).await;

    let update = |image: &str| {
        let script = root().join("infra/scripts/swarm-update.sh");
        on_manager(Command::new(script).args(["provchain", image])).expect("a script")
    };
    let image_of = |node: &str| {
        let format = "{{.Spec.TaskTemplate.ContainerSpec.Image}}";
        manager(&[
            "service",
            "inspect",
            "--format",
            format,
            &format!("provchain_{node}"),
        ])
    };
    printed(Ok(update("trivet/provchain:two")));
    clients[0].capture(&documents[4]).await;
    let tree = clients[0].tree(25).await;
    let refused = update("trivet/provchain:that-nobody-has");
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && complaint.contains("rollback"),
        "{complaint}"
    );
    for node in ["node1", "node2", "node3"] {
        assert_eq!(image_of(node).trim(), "trivet/provchain:two");
    }
    for client in &clients {
        assert_eq!(client.tree(25).await, tree);
    }
    manager(&["stack", "rm", "provchain"]);
    eventually("the stack is gone", async || {
        let left = manager(&["ps", "--quiet"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}
