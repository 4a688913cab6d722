//! Where spans go: a bounded queue, and a task that sends what is in it. A run never waits for either; what
//! finds no room is dropped and counted, and so is what a receiver does not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::call;
use crate::file::Telemetry;
use crate::log::{Event, Log};

/// So many are sent at once.
const BATCH: usize = 512;
/// The first of a batch waits so long for others.
const LINGER: Duration = Duration::from_millis(500);
/// A receiver has so long to take a batch.
const SENDING: Duration = Duration::from_secs(10);
/// And at the end of all, so long.
const LAST: Duration = Duration::from_secs(2);
/// An answer is not worth more memory.
const ANSWER_MOST: usize = 64 << 10;

/// The way out for spans.
pub(crate) struct Exporter {
    queue: Sender<Entry>,
    sums: Arc<Sums>,
}

enum Entry {
    Span(Box<SpanData>),
    /// All before it is to be sent now.
    Flush(oneshot::Sender<()>),
}

/// What became of spans.
#[derive(Default)]
struct Sums {
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// What became of spans, at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// A receiver has them.
    pub(crate) sent: u64,
    /// There was no room in the queue.
    pub(crate) dropped: u64,
    /// The receiver did not take them, or not in time.
    pub(crate) failed: u64,
}

/// How a batch ended.
enum Gathered {
    Whole,
    /// Somebody waits for it.
    Flushed(oneshot::Sender<()>),
    /// There will be no more.
    Over,
}

impl Exporter {
    /// Sends to the address that the settings say, from the runtime that it is called in.
    pub(crate) fn start(settings: &Telemetry, log: &Log) -> Result<Self> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Plain)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.endpoint.0.to_string())
            .with_timeout(SENDING)
            // Its waits between attempts would hold a worker's thread. The next batch is the next attempt.
            .with_retry_policy(RetryPolicy::disabled())
            .build();
        let mut exporter = exporter.context("cannot export spans")?;
        let resource = Resource::builder().with_service_name(settings.service.clone()).build();
        exporter.set_resource(&resource);
        let (queue, waiting) = channel(settings.queue.0);
        let sums = Arc::<Sums>::default();
        tokio::spawn(send(waiting, exporter, Arc::clone(&sums), Arc::clone(log)));
        Ok(Self { queue, sums })
    }

    /// Takes a span, if there is room.
    pub(super) fn take(&self, span: SpanData) {
        let full = self.queue.try_send(Entry::Span(Box::new(span)));
        if matches!(full, Err(TrySendError::Full(_) | TrySendError::Closed(_))) {
            self.sums.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let Sums { sent, dropped, failed } = &*self.sums;
        let [sent, dropped, failed] =
            [sent, dropped, failed].map(|sum| sum.load(Ordering::Relaxed));
        Counts { sent, dropped, failed }
    }

    pub(super) async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        let flush = async {
            if self.queue.send(Entry::Flush(tell)).await.is_ok() {
                let _ = told.await;
            }
        };
        // What a receiver has not taken by then, it will not.
        let _ = timeout(LAST, flush).await;
    }
}

async fn send(mut waiting: Receiver<Entry>, exporter: SpanExporter, sums: Arc<Sums>, log: Log) {
    let mut was_well = true;
    loop {
        let mut batch = Vec::new();
        let gathered = gather(&mut waiting, &mut batch).await;
        if !batch.is_empty() {
            let count = batch.len() as u64;
            let failed = match timeout(SENDING, exporter.export(batch)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer in {SENDING:?}")),
            };
            let sum = if failed.is_none() { &sums.sent } else { &sums.failed };
            sum.fetch_add(count, Ordering::Relaxed);
            say(&log, &mut was_well, failed.as_deref());
        }
        match gathered {
            Gathered::Whole => {}
            Gathered::Flushed(tell) => _ = tell.send(()),
            Gathered::Over => return,
        }
    }
}

/// Tells a person what has changed, not what goes on.
fn say(log: &Log, was_well: &mut bool, failed: Option<&str>) {
    match (std::mem::replace(was_well, failed.is_none()), failed) {
        (true, Some(why)) => log(&Event::Note(&format!("spans are lost, and counted: {why}"))),
        (false, None) => log(&Event::Note("spans are taken again")),
        (true, None) | (false, Some(_)) => {}
    }
}

/// Waits for a span, and a little for others.
async fn gather(waiting: &mut Receiver<Entry>, batch: &mut Vec<SpanData>) -> Gathered {
    let mut lingers = std::pin::pin!(sleep(Duration::MAX));
    loop {
        let entry = tokio::select! {
            entry = waiting.recv() => entry,
            () = &mut lingers => return Gathered::Whole,
        };
        match entry {
            Some(Entry::Span(span)) => batch.push(*span),
            Some(Entry::Flush(tell)) => return Gathered::Flushed(tell),
            None => return Gathered::Over,
        }
        if batch.len() == 1 {
            lingers.set(sleep(LINGER));
        }
        if batch.len() >= BATCH {
            return Gathered::Whole;
        }
    }
}

/// HTTP without more, by the library that calls are made with.
#[derive(Debug)]
struct Plain;

#[async_trait::async_trait]
impl HttpClient for Plain {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let (mut sender, _connection) = call::connect(&uri).await?;
        let request = call::origin_form(request.map(Full::new), &uri)?;
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_MOST).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
