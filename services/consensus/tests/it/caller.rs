//! Calls peer routes as anyone could who can reach the port: the MAC is made here a second time, so
//! that its layout is held by a test.

use std::sync::Arc;

use consensus::testing::wire;
use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use kit::settings::Secret;
use kit::tokens::mac;
use prost::Message;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::harness::{NETWORK, Node, SECRET};
use crate::register::TestMachine;

/// What a caller knows, and says of itself.
#[derive(Clone)]
pub struct Caller {
    pub secret: String,
    pub network: String,
    pub system: String,
    pub cluster: String,
    pub from: u64,
    pub to: u64,
    pub signs: bool,
    /// The certificates it shows and trusts, if it speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
    pub challenge: String,
    pub boot: String,
    pub count: u64,
}

/// What the first build of the tests' machine says of itself, in no cluster yet.
pub fn hello(id: u64, name: &str, address: &str) -> wire::Hello {
    wire::Hello {
        format: 1,
        system: "register".into(),
        network: NETWORK.into(),
        name: name.into(),
        id,
        address: address.into(),
        version_supported: 1,
        ..wire::Hello::default()
    }
}

/// A call's headers, to be sent again.
pub type Headers = Vec<(&'static str, String)>;

impl Caller {
    /// One that is in order: the member `from` of the cluster of `node`.
    pub fn member<M: TestMachine>(from: u64, node: &Node<M>) -> Self {
        Self {
            secret: SECRET.into(),
            network: NETWORK.into(),
            system: M::SYSTEM.into(),
            cluster: node.cluster().id(),
            from,
            to: id_of(node),
            signs: true,
            tls: None,
            challenge: String::new(),
            boot: format!("{:032x}", rand::random::<u128>()),
            count: 0,
        }
    }

    /// One that belongs to no cluster yet, and knows no node by its id.
    pub fn newcomer<M: TestMachine>(id: u64, node: &Node<M>) -> Self {
        Self {
            to: 0,
            cluster: String::new(),
            ..Self::member(id, node)
        }
    }

    /// Another caller of whom the same is true.
    pub fn another(&self) -> Self {
        Self {
            boot: format!("{:032x}", rand::random::<u128>()),
            ..self.clone()
        }
    }

    pub fn headers(&mut self, path: &str) -> Headers {
        self.count += 1;
        let call = format!("{}.{}.{:016x}", self.challenge, self.boot, self.count);
        let message = format!(
            "{}\0{}\0{path}\0{:016x}\0{:016x}\0{}\0{call}",
            self.system, self.network, self.from, self.to, self.cluster
        );
        let key = mac::derive(&Secret::new(&self.secret), "trivet peer calls v1");
        let mut headers = vec![
            ("trivet-from", format!("{:016x}", self.from)),
            ("trivet-to", format!("{:016x}", self.to)),
            ("trivet-cluster", self.cluster.clone()),
            ("trivet-call", call),
        ];
        if self.signs {
            headers.push(("trivet-mac", hex::encode(key.sign(&[message.as_bytes()]))));
        }
        headers
    }

    /// Calls `method` with `messages`; gives all answers.
    pub fn stream<M: TestMachine, Req, Res>(
        &mut self,
        node: &Node<M>,
        method: &str,
        messages: Vec<Req>,
    ) -> Result<Vec<Res>, Status>
    where
        Req: Message + Clone + Default + 'static,
        Res: Message + Default + 'static,
    {
        node.block_on(self.ask(&node.config.address, method, messages))
    }

    /// The same, of whoever listens at `address`.
    pub async fn ask<Req, Res>(
        &mut self,
        address: &str,
        method: &str,
        messages: Vec<Req>,
    ) -> Result<Vec<Res>, Status>
    where
        Req: Message + Clone + Default + 'static,
        Res: Message + Default + 'static,
    {
        let path = format!("/trivet.consensus.v1.Peer/{method}");
        // Whoever does not know the challenge is told it, if the rest is in order.
        let headers = self.headers(&path);
        let tls = self.tls.as_ref();
        match exchange(address, tls, &path, &headers, messages.clone()).await {
            Err(status) if status.metadata().contains_key("trivet-challenge") => {
                self.challenge = status
                    .metadata()
                    .get("trivet-challenge")
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .into();
                let headers = self.headers(&path);
                exchange(address, self.tls.as_ref(), &path, &headers, messages).await
            }
            answered => answered,
        }
    }

    pub fn call<M: TestMachine, Req, Res>(
        &mut self,
        node: &Node<M>,
        method: &str,
        message: Req,
    ) -> Result<Res, Status>
    where
        Req: Message + Clone + Default + 'static,
        Res: Message + Default + 'static,
    {
        let answers = self.stream(node, method, vec![message])?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| Status::unknown("no answer"))
    }

    /// The code of a refusal.
    pub fn refused<M: TestMachine, Req>(
        &mut self,
        node: &Node<M>,
        method: &str,
        messages: Vec<Req>,
    ) -> Code
    where
        Req: Message + Clone + Default + 'static,
    {
        // Whatever an answer would be, it is no refusal.
        match self.stream::<M, Req, wire::StatusRequest>(node, method, messages) {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        }
    }
}

/// Sends `messages` under `headers`, whatever they say.
pub fn send<M: TestMachine, Req, Res>(
    node: &Node<M>,
    path: &str,
    headers: &Headers,
    messages: Vec<Req>,
) -> Result<Vec<Res>, Status>
where
    Req: Message + Default + 'static,
    Res: Message + Default + 'static,
{
    node.block_on(exchange(
        &node.config.address,
        None,
        path,
        headers,
        messages,
    ))
}

/// A connection to `address`, whoever is there.
async fn channel(address: &str, tls: Option<Arc<ClientConfig>>) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let connected = match tls {
        None => endpoint.connect().await,
        Some(tls) => {
            let address = address.to_owned();
            let connect = move |_| over_tls(address.clone(), Arc::clone(&tls));
            endpoint
                .connect_with_connector(tower::service_fn(connect))
                .await
        }
    };
    connected.map_err(|error| Status::unavailable(error.to_string()))
}

/// A connection by TLS to `address`, whose host is to be in the certificate that it shows.
pub async fn over_tls(
    address: String,
    tls: Arc<ClientConfig>,
) -> std::io::Result<TokioIo<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(&address).await?;
    let (host, _) = address.split_once(':').unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(TokioIo::new(stream))
}

async fn exchange<Req, Res>(
    address: &str,
    tls: Option<&Arc<ClientConfig>>,
    path: &str,
    headers: &Headers,
    messages: Vec<Req>,
) -> Result<Vec<Res>, Status>
where
    Req: Message + Default + 'static,
    Res: Message + Default + 'static,
{
    let mut request = Request::new(futures_util::stream::iter(messages));
    let metadata = headers.iter().map(|(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, http::HeaderValue::from_str(value).unwrap())
    });
    *request.metadata_mut() = MetadataMap::from_headers(metadata.collect());
    let path: PathAndQuery = path.parse().unwrap();
    let mut grpc = tonic::client::Grpc::new(channel(address, tls.cloned()).await?);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<Req, Res>::default();
    let mut responses = grpc.streaming(request, path, codec).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = responses.next().await {
        answers.push(answer?);
    }
    Ok(answers)
}

pub fn id_of<M: TestMachine>(node: &Node<M>) -> u64 {
    u64::from_str_radix(&node.cluster().status().id, 16).unwrap()
}
