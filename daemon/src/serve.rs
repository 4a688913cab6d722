//! `/metrics` and `/status`, for whoever may reach the address.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::set::Set;
use crate::status;

/// Who asks slowly keeps others out no longer than this.
const ASKING: Duration = Duration::from_secs(10);
/// So many may ask at once; others wait.
const ASKERS: usize = 32;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What there is to be told.
pub(crate) struct Told {
    pub(crate) set: Arc<Set>,
    /// The file that the jobs are from, and what came of the last reload.
    pub(crate) file: Mutex<Value>,
    pub(crate) listen: SocketAddr,
}

/// Answers for ever.
pub(crate) async fn serve(listener: TcpListener, told: Arc<Told>) {
    let askers = Arc::new(Semaphore::new(ASKERS));
    loop {
        let Ok(asker) = Arc::clone(&askers).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left: later there may be.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            let _ = timeout(ASKING, connection(stream, told)).await;
            drop(asker);
        });
    }
}

async fn connection(stream: TcpStream, told: Arc<Told>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (request, told) = (request.map(drop), Arc::clone(&told));
        // Of many jobs there is much to tell, and the workers have runs to start.
        async { tokio::task::spawn_blocking(move || answer(&request, &told)).await }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).keep_alive(false);
    // Whoever hung up wants no answer.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<()>, told: &Told) -> Response<Full<Bytes>> {
    if told.listen.ip().is_loopback() && !is_asked_here(request) {
        return plain(StatusCode::FORBIDDEN, "this host is not here\n");
    }
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/status") {
        return plain(StatusCode::NOT_FOUND, "there is /status and /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "this is only to be read\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if path == "/metrics" { metrics(&told.set) } else { standing(told) }
}

/// Whether this machine is what was asked for. A page from elsewhere that has its own name lead here
/// says that name.
fn is_asked_here(request: &Request<()>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    host.is_none_or(|host| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn metrics(set: &Set) -> Response<Full<Bytes>> {
    let views = set.views();
    for view in &views {
        set.metrics.job(&view.name, &view.status, &view.skipped);
    }
    if let Some(status) = set.scheduler() {
        let jobs = status.shards.iter().map(|shard| shard.jobs).sum();
        set.metrics.pool(jobs, &status.pool);
    }
    for seen in &set.breakers.seen() {
        set.metrics.breaker(seen);
    }
    if let Some(counts) = set.traces.counts() {
        set.metrics.spans(&counts);
    }
    set.metrics.decisions(set.breakers.decisions.dropped());
    match set.metrics.text() {
        Ok(text) => typed(OPENMETRICS, text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics have no text\n"),
    }
}

fn standing(told: &Told) -> Response<Full<Bytes>> {
    let file = told.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
    typed("application/json", format!("{:#}\n", status::json(&told.set, &file)))
}

fn typed(kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = typed("text/plain; charset=utf-8", text.to_owned());
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_here_is_not_this_host() {
        let asked =
            |host: &str| is_asked_here(&Request::builder().header(HOST, host).body(()).unwrap());
        assert!(asked("localhost") && asked("127.0.0.1:9310") && asked("[::1]:9310"));
        assert!(!asked("example.org") && !asked("example.org:9310") && !asked("10.0.0.1"));
        assert!(is_asked_here(&Request::new(())));
    }
}
