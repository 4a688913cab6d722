//! An HTTP server: lines of JSON in the body of a POST, or what Elasticsearch's `_bulk` takes.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::{Answer, Sink, lines};
use crate::Error;
use crate::journal::{Event, line};
use crate::store::Pending;

/// A server that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer has a few words for each event.
const ANSWER_MOST: usize = 16 << 20;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Each event's line. The status is the answer for all; events of a body that was refused are sent again
    /// one by one, so that each has its own.
    Lines,
    /// For each event its document, to be created in this index under its id. Each has its own answer, and
    /// that it is there already is one.
    Bulk {
        /// Its name.
        index: String,
    },
}

/// A server that takes events; `http` alone, without encryption.
///
/// 400, 409, 410, 413, 414, 415, 422 and 431 say that an event is refused. All else that is no success (401,
/// 403, 404 and 429 among them) is about the server, or about what we may do there, and not about an event.
pub struct Http {
    uri: Uri,
    body: Body,
    authorization: Option<HeaderValue>,
    connection: Option<Connection>,
}

/// Closed when it is dropped.
struct Connection(http1::SendRequest<Full<Bytes>>, AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.1.abort();
    }
}

impl Http {
    /// To an address such as `http://host:9200/_bulk`; `authorization` is the header, if there is one.
    pub fn new(url: &str, body: Body, authorization: Option<&str>) -> Result<Self, Error> {
        let refused =
            |reason: &str| Error::Url { url: "http:".to_owned(), reason: reason.to_owned() };
        let uri: Uri = url.parse().map_err(|_| refused("it cannot be read"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(refused("it is http://HOST:PORT/PATH"));
        }
        // It would be in every error: who we are is said by the header.
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("it is http://HOST:PORT/PATH, and names no user"));
        }
        let authorization = authorization.map(HeaderValue::from_str).transpose();
        let authorization = authorization.map_err(|_| refused("its authorization is no header"))?;
        Ok(Self { uri, body, authorization, connection: None })
    }

    fn unavailable(&self, reason: &impl ToString) -> Error {
        let place = format!("http://{}", self.uri.authority().map_or("", |a| a.as_str()));
        Error::Unavailable { what: "send to", place, reason: reason.to_string() }
    }

    async fn connected(&mut self) -> Result<&mut http1::SendRequest<Full<Bytes>>, Error> {
        let is_open =
            self.connection.as_ref().is_some_and(|Connection(sender, _)| !sender.is_closed());
        if !is_open {
            let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let port = self.uri.port_u16().unwrap_or(80);
            let stream = TcpStream::connect((host, port)).await;
            let stream = TokioIo::new(stream.map_err(|error| self.unavailable(&error))?);
            let (sender, connection) =
                http1::handshake(stream).await.map_err(|error| self.unavailable(&error))?;
            let task = tokio::spawn(async move {
                // What goes wrong here is told to whoever waits for the answer.
                let _ = connection.await;
            });
            self.connection = Some(Connection(sender, task.abort_handle()));
        }
        Ok(&mut self.connection.as_mut().expect("it was made").0)
    }

    fn request(&self, text: String, one: Option<&Event>) -> Result<Request<Full<Bytes>>, Error> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(path)
            .header(HOST, host)
            .header(USER_AGENT, "cronx")
            .header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(event) = one {
            request = request.header("idempotency-key", event.id.to_string());
        }
        request.body(Full::new(text.into())).map_err(|error| self.unavailable(&error))
    }

    /// The status, and the body of the answer.
    async fn post(
        &mut self,
        text: String,
        one: Option<&Event>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let request = self.request(text, one)?;
        let exchange = async {
            let sender = self.connected().await?;
            let answer = async {
                sender.ready().await.map_err(|error| error.to_string())?;
                let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), ANSWER_MOST).collect().await;
                Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
            };
            let answer: Result<_, String> = answer.await;
            answer.map_err(|reason| self.unavailable(&reason))
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        let answer = answer.unwrap_or_else(|late| Err(self.unavailable(&late)));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn lines(&mut self, events: &[&Event]) -> Result<Vec<Answer>, Error> {
        let one = (events.len() == 1).then(|| events[0]);
        let (status, body) = self.post(lines(events), one).await?;
        match judge(status, &body) {
            Answer::Refused(_) if one.is_none() => {
                let mut answers = Vec::new();
                for event in events {
                    answers.extend(Box::pin(self.lines(&[event])).await?);
                }
                Ok(answers)
            }
            answer => Ok(vec![answer; events.len()]),
        }
    }

    async fn bulk(&mut self, index: &str, events: &[&Event]) -> Result<Vec<Answer>, Error> {
        let action = |event: &Event| {
            json!({ "create": { "_index": index, "_id": event.id.to_string() } }).to_string()
        };
        let text = events.iter().map(|event| action(event) + "\n" + &line(event) + "\n").collect();
        let (status, body) = self.post(text, None).await?;
        match judge(status, &body) {
            Answer::Taken => items(&body, events.len()).map_err(|reason| self.unavailable(&reason)),
            Answer::Refused(_) if events.len() > 1 => {
                let mut answers = Vec::new();
                for event in events {
                    answers.extend(Box::pin(self.bulk(index, &[event])).await?);
                }
                Ok(answers)
            }
            answer => Ok(vec![answer; events.len()]),
        }
    }
}

/// What a status says, with the first words of the answer.
fn judge(status: StatusCode, body: &[u8]) -> Answer {
    let words: String = String::from_utf8_lossy(body).chars().take(300).collect();
    match status.as_u16() {
        200..=299 => Answer::Taken,
        400 | 409 | 410 | 413 | 414 | 415 | 422 | 431 => {
            Answer::Refused(format!("{status}: {words}"))
        }
        _ => Answer::Later(format!("{status}: {words}")),
    }
}

/// The answers of a bulk, one for each event.
fn items(body: &[u8], count: usize) -> Result<Vec<Answer>, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let items = answer["items"].as_array().ok_or("the answer has no items")?;
    if items.len() != count {
        return Err(format!("{} answers to {count} events", items.len()));
    }
    let item = |item: &Value| {
        let status = item["create"]["status"].as_u64().and_then(|s| u16::try_from(s).ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        match status.ok_or("an answer has no status")? {
            // It was created before: its id is its own.
            StatusCode::CONFLICT => Ok(Answer::Taken),
            status => Ok(judge(status, item["create"]["error"].to_string().as_bytes())),
        }
    };
    items.iter().map(item).collect()
}

impl Sink for Http {
    fn send<'a>(&'a mut self, events: &'a [&'a Event]) -> Pending<'a, Vec<Answer>> {
        Box::pin(async move {
            match self.body.clone() {
                Body::Lines => self.lines(events).await,
                Body::Bulk { index } => self.bulk(&index, events).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_an_event_refuses_it() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap(), b"why");
        for status in 100..600 {
            let refuses = [400, 409, 410, 413, 414, 415, 422, 431].contains(&status);
            let answer = judged(status);
            assert_eq!(matches!(answer, Answer::Refused(_)), refuses, "{status}");
            assert_eq!(answer == Answer::Taken, (200..300).contains(&status), "{status}");
        }
        assert_eq!(judged(422), Answer::Refused("422 Unprocessable Entity: why".to_owned()));
    }

    #[test]
    fn each_item_of_a_bulk_has_its_answer() {
        let body = r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409}},
            {"create":{"status":400,"error":{"reason":"no date"}}},{"create":{"status":429}}]}"#;
        let answers = items(body.as_bytes(), 4).unwrap();
        let refused = r#"400 Bad Request: {"reason":"no date"}"#.to_owned();
        let later = "429 Too Many Requests: null".to_owned();
        let expected =
            [Answer::Taken, Answer::Taken, Answer::Refused(refused), Answer::Later(later)];
        assert_eq!(answers, expected);
        for (body, count) in [("{}", 0), ("[]", 0), (body, 3), (r#"{"items":[{}]}"#, 1), ("", 0)] {
            assert!(items(body.as_bytes(), count).is_err(), "{body}");
        }
    }

    #[test]
    fn an_address_is_of_http() {
        for url in ["https://h/", "h:9200", "ftp://h/", "/x", ""] {
            let refused = Http::new(url, Body::Lines, None).err();
            assert!(matches!(refused, Some(Error::Url { .. })), "{url}");
        }
        for url in ["http://u:secret@h/", "http://secret@h", "http://:secret@[::1]:9200/"] {
            let refused = Http::new(url, Body::Lines, None).err().unwrap();
            assert!(matches!(refused, Error::Url { .. }), "{url}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
        assert!(Http::new("http://[::1]:9200/_bulk", Body::Lines, Some("Bearer x")).is_ok());
    }
}
