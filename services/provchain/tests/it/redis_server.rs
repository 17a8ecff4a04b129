//! A real Redis on a port of its own, that keeps nothing on disk.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use redis::aio::MultiplexedConnection;

use super::cluster::until;

pub struct RedisServer {
    child: Child,
    port: u16,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub async fn start(arguments: &[&str]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let server = Self {
            child: spawn(port, &arguments),
            port,
            arguments,
        };
        server.answers().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        self.try_connection().await.expect("a connection")
    }

    async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        client.get_multiplexed_async_connection().await
    }

    async fn answers(&self) {
        until("Redis answers", async || {
            self.try_connection().await.is_ok()
        })
        .await;
    }

    /// Lets it do nothing any more, and keep its connections.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("it runs").success(), "{signal}");
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Starts it again after [`Self::kill`], with nothing in it.
    pub async fn restart(&mut self) {
        self.child = spawn(self.port, &self.arguments);
        self.answers().await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server is one program with the tool that checks its files, and does what it is called.
fn spawn(port: u16, arguments: &[String]) -> Child {
    let spawn = |program: &str| {
        let mut command = Command::new(program);
        command
            .arg0("redis-server")
            .args(["--port", &port.to_string()]);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    };
    spawn("redis-server")
        .or_else(|_| spawn("redis-check-rdb"))
        .expect("Redis starts: `make test` installs it")
}
