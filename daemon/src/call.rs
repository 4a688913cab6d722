//! A run that is an HTTP call: its status is the outcome.

use std::sync::Arc;

use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::failure::Failure;
use crate::file::Call;

/// An answer that is not long.
const SHORT: usize = 64 << 10;

/// Closes the connection when the call is over, or given up.
pub(crate) struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes it with this header, and takes the whole answer. Dropped before its end, it hangs up.
pub(crate) async fn run(call: Arc<Call>, told: (&'static str, String)) -> Result<(), Failure> {
    let request = request(&call, &told).map_err(Failure::certain)?;
    let (mut sender, _connection) = connect(&call.uri).await.map_err(Failure::certain)?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| Failure::unknown(format!("no answer: {error}")))?;
    let status = answer.status();
    swallow(answer).await.map_err(Failure::unknown)?;
    let expected = match call.expect.as_slice() {
        [] => status.is_success(),
        statuses => statuses.contains(&status.as_u16()),
    };
    let said = format!("the answer is {status}");
    // A server that fails may have done it.
    let is_certain = status.is_client_error();
    expected.then_some(()).ok_or(Failure { said, is_certain })
}

/// What is at a URL, if it is not long.
pub(crate) async fn get(uri: &Uri) -> Result<Bytes, String> {
    let request = origin_form(Request::new(Full::default()), uri)?;
    let (mut sender, _connection) = connect(uri).await?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    let whole = Limited::new(answer.into_body(), SHORT).collect().await;
    whole.map(Collected::to_bytes).map_err(|error| format!("the answer breaks off: {error}"))
}

/// A request as a server wants it that is no proxy: the path, and the host in its header.
pub(crate) fn origin_form(
    mut request: Request<Full<Bytes>>,
    uri: &Uri,
) -> Result<Request<Full<Bytes>>, String> {
    let path = uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    *request.uri_mut() = path.parse().map_err(|error| format!("no path: {error}"))?;
    let host = uri.authority().map_or("", hyper::http::uri::Authority::as_str);
    let host = HeaderValue::from_str(host).map_err(|error| format!("no host: {error}"))?;
    request.headers_mut().insert(HOST, host);
    Ok(request)
}

/// A connection to the host of a URL, as long as the second of them lives.
pub(crate) async fn connect(
    uri: &Uri,
) -> Result<(http1::SendRequest<Full<Bytes>>, Connection), String> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(80);
    let cannot =
        |error: &dyn std::error::Error| format!("cannot connect to {host}:{port}: {error}");
    let stream = TcpStream::connect((host, port)).await.map_err(|error| cannot(&error))?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| cannot(&error))?;
    let task = tokio::spawn(async move {
        // What goes wrong here is told to whoever waits for the answer.
        let _ = connection.await;
    });
    Ok((sender, Connection(task.abort_handle())))
}

fn request(
    call: &Call,
    (name, value): &(&'static str, String),
) -> Result<Request<Full<Bytes>>, String> {
    let request = Request::new(Full::new(Bytes::from(call.body.clone())));
    let mut request = origin_form(request, &call.uri)?;
    *request.method_mut() = call.method.clone();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("cronx"));
    let value = HeaderValue::from_str(value).map_err(|error| format!("no {name}: {error}"))?;
    headers.insert(*name, value);
    headers.extend(call.headers.clone());
    Ok(request)
}

/// Piece by piece: an answer may be longer than memory.
async fn swallow(mut answer: Response<Incoming>) -> Result<(), String> {
    while let Some(frame) = answer.frame().await {
        frame.map_err(|error| format!("the answer breaks off: {error}"))?;
    }
    Ok(())
}
