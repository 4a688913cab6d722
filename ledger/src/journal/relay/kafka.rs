//! Kafka, by librdkafka.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::{Answer, Sink};
use crate::Error;
use crate::journal::{Event, line};
use crate::store::Pending;

/// A message that is not taken for so long is given up, and sent again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// A topic. An aggregate's events have its name as their key, so that they are in one partition, and their ids
/// in the header `id`: a reader leaves out what it had. The producer is idempotent: of what it sends again by
/// itself the topic has one.
pub struct Kafka {
    config: ClientConfig,
    topic: String,
    producer: Option<FutureProducer>,
}

impl Kafka {
    /// To brokers such as `host:9092,other:9092`.
    pub fn new(brokers: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("client.id", "cronx")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "1")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string());
        Self { config, topic: topic.to_owned(), producer: None }
    }

    fn producer(&mut self) -> Result<FutureProducer, Error> {
        let made = match self.producer.take() {
            Some(made) => made,
            None => self.config.create().map_err(|error| self.unavailable(&error))?,
        };
        Ok(self.producer.insert(made).clone())
    }

    fn unavailable(&self, error: &KafkaError) -> Error {
        let place = format!("the topic {}", self.topic);
        Error::Unavailable { what: "produce to", place, reason: error.to_string() }
    }
}

fn judge(error: &KafkaError) -> Answer {
    let reason = error.to_string();
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidMessageSize,
        ) => Answer::Refused(reason),
        _ => Answer::Later(reason),
    }
}

impl Sink for Kafka {
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            let producer = self.producer()?;
            let mut sent = Vec::new();
            for event in events {
                let (text, id) = (line(event), event.id.to_string());
                let header = Header { key: "id", value: Some(&id) };
                let record = FutureRecord::to(&self.topic)
                    .key(&event.aggregate)
                    .payload(&text)
                    .headers(OwnedHeaders::new().insert(header));
                sent.push(producer.send_result(record).map_err(|(error, _)| judge(&error)));
            }
            let mut answers = Vec::new();
            for sent in sent {
                answers.push(match sent {
                    Ok(acked) => match acked.await {
                        Ok(Ok(_)) => Answer::Taken,
                        Ok(Err((error, _))) => judge(&error),
                        Err(gone) => Answer::Later(gone.to_string()),
                    },
                    Err(answer) => answer,
                });
            }
            // One that has given up a message may be of no use any more; the next one asks anew.
            if answers.iter().any(|answer| matches!(answer, Answer::Later(_))) {
                self.producer = None;
            }
            Ok(answers)
        })
    }
}
