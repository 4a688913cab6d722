//! NATS JetStream.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;

use super::{Answer, Sink};
use crate::Error;
use crate::journal::{Event, line};
use crate::store::Pending;

/// An answer that does not come for so long is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// The envelope that the server counts too: headers, and a subject.
const ENVELOPE: usize = 1024;
/// JetStream's number of an error: a message longer than its stream takes.
const TOO_LONG: u64 = 10054;

/// A subject of a stream, which must be there. Events have their ids as `Nats-Msg-Id`: within the stream's
/// window of duplicates (two minutes, unless it was told otherwise) the stream has each once.
pub struct Nats {
    url: String,
    subject: String,
    context: Option<(async_nats::Client, Context)>,
}

impl Nats {
    /// To an address such as `nats://host:4222`; the connection is made, and made again, when it is needed.
    pub fn new(url: &str, subject: &str) -> Self {
        Self { url: url.to_owned(), subject: subject.to_owned(), context: None }
    }

    fn unavailable(&self, reason: &impl ToString) -> Error {
        let place = format!("the subject {}", self.subject);
        Error::Unavailable { what: "publish to", place, reason: reason.to_string() }
    }

    async fn connected(&mut self) -> Result<(usize, Context), Error> {
        if self.context.is_none() {
            let client = tokio::time::timeout(PATIENCE, async_nats::connect(self.url.as_str()));
            let client = client.await.map_err(|late| self.unavailable(&late))?;
            let client = client.map_err(|error| self.unavailable(&error))?;
            let mut context = async_nats::jetstream::new(client.clone());
            context.set_timeout(PATIENCE);
            self.context = Some((client, context));
        }
        let (client, context) = self.context.as_ref().expect("it was made");
        Ok((client.server_info().max_payload, context.clone()))
    }
}

fn judge(error: &PublishError) -> Answer {
    let reason = error.to_string();
    let code = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<async_nats::jetstream::Error>())
        .map(|error| error.error_code().0);
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Answer::Refused(reason),
        PublishErrorKind::Other if code == Some(TOO_LONG) => Answer::Refused(reason),
        _ => Answer::Later(reason),
    }
}

impl Sink for Nats {
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            let (most, context) = self.connected().await?;
            let mut sent = Vec::new();
            for event in events {
                let text = line(event);
                if text.len() + ENVELOPE > most {
                    let reason = format!("{} bytes, and the server takes {most}", text.len());
                    sent.push(Err(Answer::Refused(reason)));
                    continue;
                }
                let message = PublishMessage::build()
                    .message_id(event.id.to_string())
                    .header("Cronx-Aggregate", fit(&event.aggregate))
                    .payload(text.into());
                let acked = context.send_publish(self.subject.clone(), message).await;
                sent.push(acked.map_err(|error| judge(&error)));
            }
            let mut answers = Vec::new();
            // Of all of them together: a server that is gone answers none.
            let until = tokio::time::Instant::now() + PATIENCE;
            for sent in sent {
                answers.push(match sent {
                    Ok(acked) => match tokio::time::timeout_at(until, acked.into_future()).await {
                        Ok(Ok(_)) => Answer::Taken,
                        Ok(Err(error)) => judge(&error),
                        Err(late) => Answer::Later(late.to_string()),
                    },
                    Err(answer) => answer,
                });
            }
            Ok(answers)
        })
    }
}

/// What a header can have.
fn fit(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).collect()
}
