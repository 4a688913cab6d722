//! Servers of a test's own: one that jobs depend on and that does as it is told, and one that takes spans.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use prost::Message;

/// What a server does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    Fails,
    /// It answers well, after 700 ms.
    Slow,
    /// It takes the call, and says nothing.
    Hangs,
}

/// A server, and every call that it had.
pub struct Server {
    pub address: String,
    body: Arc<Mutex<String>>,
    mood: Arc<Mutex<Mood>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Call {
    pub head: String,
    pub body: Vec<u8>,
}

impl Server {
    pub fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mood, calls) = (Arc::new(Mutex::new(mood)), Arc::<Mutex<Vec<Call>>>::default());
        let (asks, had) = (Arc::clone(&mood), Arc::clone(&calls));
        let body = Arc::<Mutex<String>>::default();
        let says = Arc::clone(&body);
        thread::spawn(move || {
            // Ends with the test's process.
            for stream in listener.incoming().map_while(Result::ok) {
                let (asks, had) = (Arc::clone(&asks), Arc::clone(&had));
                let says = Arc::clone(&says);
                thread::spawn(move || serve(stream, &asks, &had, &says));
            }
        });
        Self { address, body, mood, calls }
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What it answers from now on.
    pub fn say(&self, body: String) {
        *self.body.lock().unwrap() = body;
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The spans that were sent to it.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.calls().into_iter().map(|call| Export::decode(&*call.body).unwrap());
        let scopes = requests.flat_map(|request| request.resources).flat_map(|one| one.scopes);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    mood: &Mutex<Mood>,
    calls: &Mutex<Vec<Call>>,
    body: &Mutex<String>,
) {
    let Some(call) = read(&stream) else { return };
    calls.lock().unwrap().push(call);
    let mood = *mood.lock().unwrap();
    if mood == Mood::Hangs {
        // Until whoever called gives up.
        let _ = stream.read(&mut [0]);
        return;
    }
    if mood == Mood::Slow {
        thread::sleep(Duration::from_millis(700));
    }
    let status = if mood == Mood::Fails { "503 Service Unavailable" } else { "200 OK" };
    let (body, close) = (body.lock().unwrap().clone(), "connection: close");
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{close}\r\n\r\n", body.len());
    // It may have hung up by now.
    let _ = stream.write_all((head + &body).as_bytes());
}

fn read(stream: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Call { head, body })
}

// As much of opentelemetry/proto/trace/v1/trace.proto as is asked for here, written down once more.

#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(fixed64, tag = "7")]
    pub begun_ns: u64,
    #[prost(fixed64, tag = "8")]
    pub ended_ns: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<SpanEvent>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<SpanLink>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SpanEvent {
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanLink {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn text(attributes: &[Attribute], key: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.text
}

impl Span {
    pub fn trace(&self) -> String {
        hex(&self.trace)
    }

    pub fn id(&self) -> String {
        hex(&self.id)
    }

    pub fn parent(&self) -> String {
        hex(&self.parent)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        text(&self.attributes, key)
    }

    /// The traces that it is linked to.
    pub fn links(&self) -> Vec<String> {
        self.links.iter().map(|link| hex(&link.trace)).collect()
    }
}

impl SpanEvent {
    pub fn text(&self, key: &str) -> Option<String> {
        text(&self.attributes, key)
    }
}
