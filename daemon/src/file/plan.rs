//! A job as the file has it, checked by those whose words it uses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cronx_scheduler::{Dst, JobOptions, Overlap, Policy, Retry, Spec, Utc};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use nix::unistd::Uid;
use toml::Spanned;

use super::breaker::{self, BreakerPlan, OWN};
use super::raw::{Output, RawHttp, RawJob, RawRetry};
use super::refusal::Fault;
use super::saga::{self, Saga};

/// No name is longer: it is in every line of the log, and a label of every metric.
pub(super) const NAME_MOST: usize = 128;
/// A call that is not told how long it may take.
pub(super) const CALL_MOST: Duration = Duration::from_secs(30);

/// What a job is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When it is due.
    pub spec: Spec,
    /// How it is treated.
    pub options: Arc<JobOptions>,
    /// What it does.
    pub action: Action,
    /// The breaker that it has for itself.
    pub breaker: Option<BreakerPlan>,
    /// The breakers that it shares, by name.
    pub depends_on: Vec<Arc<str>>,
    /// As it was written, with its zone: a [`Spec`] cannot be compared.
    schedule: (String, Option<String>, Dst),
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// One thing.
    Deed(Deed),
    /// Several, which are undone if one of them cannot be done.
    Saga(Arc<Saga>),
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A program is run.
    Command(Arc<Command>),
    /// A server is called.
    Call(Arc<Call>),
}

/// A program.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) output: Output,
    /// Who it runs as; nothing is who the daemon is.
    pub(crate) user: Option<User>,
}

/// A user of this machine, as the system's database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
}

/// An HTTP call.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Answers that are as they should be; none of them is any of 200 to 299.
    pub(crate) expect: Vec<u16>,
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        let treated = self.options == other.options && self.action == other.action;
        let behind = self.breaker == other.breaker && self.depends_on == other.depends_on;
        treated && behind && self.is_due_as(other)
    }
}

impl Plan {
    /// Whether they have the same instants.
    pub(crate) fn is_due_as(&self, other: &Self) -> bool {
        self.schedule == other.schedule
    }

    /// The breakers that it is behind, by name: its own, of the job of this name, is the first.
    pub(crate) fn breakers(&self, job: &str) -> impl Iterator<Item = Arc<str>> {
        let own = self.breaker.as_ref().map(|_| own(job));
        own.into_iter().chain(self.depends_on.iter().cloned())
    }

    /// How many of its runs may be at once; `None` if nobody asks.
    pub(crate) fn limit(&self) -> Option<usize> {
        let policy = &self.options.policy;
        (policy.overlap != Overlap::Allow).then(|| policy.limit.max(1) as usize)
    }
}

/// The name of the breaker that a job has for itself.
pub(crate) fn own(job: &str) -> Arc<str> {
    format!("{OWN}{job}").into()
}

/// A fault of a value.
pub(super) fn wrong<T>(value: &Spanned<T>, why: impl Into<String>) -> Fault {
    Fault::new(Some(value.span().start), why)
}

pub(super) fn plan(name: String, job: Spanned<RawJob>) -> Result<(Arc<str>, Arc<Plan>), Fault> {
    if name.is_empty() || name.len() > NAME_MOST {
        return Err(wrong(&job, format!("a name has 1 to {NAME_MOST} bytes")));
    }
    let action = action(&name, &job)?;
    let job = job.into_inner();
    let spec = spec(&job)?;
    let zone = job.zone.as_ref().map(|zone| zone.get_ref().clone());
    let schedule = (job.schedule.get_ref().clone(), zone, spec.dst_policy());
    let options = Arc::new(options(&job)?);
    let breaker = job.breaker.as_ref().map(breaker::breaker).transpose()?;
    let depends_on = job.depends_on.iter().map(|name| name.get_ref().as_str().into()).collect();
    let plan = Plan { spec, options, action, breaker, depends_on, schedule };
    Ok((name.into(), Arc::new(plan)))
}

fn spec(job: &RawJob) -> Result<Spec, Fault> {
    let text = &job.schedule;
    let mut spec = Spec::parse(text.get_ref()).map_err(|e| wrong(text, e.to_string()))?;
    if let Some(zone) = &job.zone {
        spec = spec.in_zone(zone.get_ref()).map_err(|e| wrong(zone, e.to_string()))?;
    }
    let usual = spec.dst_policy();
    let gap = job.dst.gap.map_or(usual.gap, Into::into);
    let fold = job.dst.fold.map_or(usual.fold, Into::into);
    let spec = spec.dst(Dst { gap, fold });
    let next = spec.after(Utc::from(SystemTime::now()));
    (next.is_some() || spec.is_never())
        .then_some(())
        .ok_or_else(|| wrong(text, format!("'{spec}' never fires")))?;
    Ok(spec)
}

fn options(job: &RawJob) -> Result<JobOptions, Fault> {
    let usual = JobOptions::default();
    if let Some(timeout) = job.timeout.as_ref().filter(|timeout| timeout.get_ref().0.is_zero()) {
        return Err(wrong(timeout, "a timeout is longer than nothing"));
    }
    let most = job.http.is_some().then_some(CALL_MOST);
    Ok(JobOptions {
        policy: policy(job)?,
        priority: job.priority.unwrap_or(usual.priority),
        jitter: job.jitter.map_or(usual.jitter, |jitter| jitter.0),
        timeout: job.timeout.as_ref().map(|timeout| timeout.get_ref().0).or(most),
        retry: job.retry.as_ref().map_or(Ok(usual.retry), retry)?,
    })
}

fn policy(job: &RawJob) -> Result<Policy, Fault> {
    let usual = Policy::default();
    let overlap = job.overlap.map_or(usual.overlap, Into::into);
    if let Some(limit) = job.limit.as_ref().filter(|_| overlap == Overlap::Allow) {
        return Err(wrong(limit, "overlap = \"allow\" asks for no limit"));
    }
    Ok(Policy {
        grace: job.grace.map_or(usual.grace, |grace| grace.0),
        misfire: job.misfire.map_or(usual.misfire, Into::into),
        limit: job.limit.as_ref().map_or(usual.limit, |limit| limit.get_ref().get()),
        overlap,
        forward: job.forward.map_or(usual.forward, Into::into),
        back: job.back.map_or(usual.back, Into::into),
        suspend: job.suspend.map_or(usual.suspend, Into::into),
    })
}

pub(super) fn retry(retry: &Spanned<RawRetry>) -> Result<Retry, Fault> {
    let RawRetry { attempts, base, cap, rejected } = retry.get_ref();
    let base = base.map_or(Duration::from_secs(1), |base| base.0);
    let cap = cap.map_or(base.max(Duration::from_mins(1)), |cap| cap.0);
    if base > cap {
        return Err(wrong(retry, format!("its base, {base:?}, is longer than its cap, {cap:?}")));
    }
    Ok(Retry { attempts: attempts.get(), base, cap, rejected: *rejected })
}

fn action(name: &str, job: &Spanned<RawJob>) -> Result<Action, Fault> {
    let raw = job.get_ref();
    let told = Told {
        command: raw.command.as_ref(),
        env: raw.env.as_ref(),
        cwd: raw.cwd.as_ref(),
        output: raw.output.as_ref(),
        user: raw.user.as_ref(),
        http: raw.http.as_ref(),
    };
    match &raw.saga {
        Some(saga) => {
            saga::alone(raw, &told)?;
            Ok(Action::Saga(Arc::new(saga::saga(name, saga)?)))
        }
        None => Ok(Action::Deed(deed("a job", job, &told)?)),
    }
}

/// What is said of one thing that is done.
pub(super) struct Told<'a> {
    pub(super) command: Option<&'a Spanned<Vec<String>>>,
    pub(super) env: Option<&'a Spanned<BTreeMap<String, String>>>,
    pub(super) cwd: Option<&'a Spanned<PathBuf>>,
    pub(super) output: Option<&'a Spanned<Output>>,
    pub(super) user: Option<&'a Spanned<String>>,
    pub(super) http: Option<&'a Spanned<RawHttp>>,
}

impl Told<'_> {
    /// The first that only commands have, and where it stands.
    pub(super) fn of_commands(&self) -> Option<(&'static str, usize)> {
        let env = self.env.map(|env| ("env", env.span().start));
        let cwd = self.cwd.map(|cwd| ("cwd", cwd.span().start));
        let output = self.output.map(|output| ("output", output.span().start));
        let user = self.user.map(|user| ("user", user.span().start));
        env.or(cwd).or(output).or(user)
    }
}

/// `whose` is what it is said of, such as `a job`.
pub(super) fn deed<T>(whose: &str, place: &Spanned<T>, told: &Told<'_>) -> Result<Deed, Fault> {
    match (told.command, told.http) {
        (Some(argv), None) => Ok(Deed::Command(Arc::new(command(told, argv)?))),
        (None, Some(http)) => match told.of_commands() {
            Some((what, at)) => {
                Err(Fault::new(Some(at), format!("{whose} with http has no {what}")))
            }
            None => Ok(Deed::Call(Arc::new(call(http.get_ref())?))),
        },
        (Some(argv), Some(_)) => {
            Err(wrong(argv, format!("{whose} has a command or http, and not both")))
        }
        (None, None) => {
            Err(wrong(place, format!("{whose} has a command or http, and this has neither")))
        }
    }
}

fn command(told: &Told<'_>, argv: &Spanned<Vec<String>>) -> Result<Command, Fault> {
    let (program, args) = match argv.get_ref().split_first() {
        Some((program, args)) if !program.is_empty() => (program.clone(), args.to_vec()),
        _ => {
            return Err(wrong(
                argv,
                "a command is a program and its arguments, and has no program",
            ));
        }
    };
    if argv.get_ref().iter().any(|arg| arg.contains('\0')) {
        return Err(wrong(argv, "no argument has a NUL"));
    }
    let env = told.env.map(|env| checked(env).map(|()| env.get_ref().clone()));
    Ok(Command {
        program,
        args,
        env: env.transpose()?.unwrap_or_default(),
        cwd: told.cwd.map(|cwd| cwd.get_ref().clone()),
        output: told.output.map_or(Output::Log, |output| *output.get_ref()),
        user: told.user.map(user).transpose()?,
    })
}

/// Only root can be somebody else.
fn user(name: &Spanned<String>) -> Result<User, Fault> {
    if !Uid::effective().is_root() {
        return Err(wrong(name, "only a daemon that root runs can run a command as another user"));
    }
    let shown = name.get_ref();
    if shown.contains('\0') {
        return Err(wrong(name, "no name of a user has a NUL"));
    }
    let cannot = |errno| wrong(name, format!("the user '{shown}' cannot be looked up: {errno}"));
    let found = nix::unistd::User::from_name(shown).map_err(cannot)?;
    let found = found.ok_or_else(|| wrong(name, format!("there is no user '{shown}'")))?;
    Ok(User { name: found.name, uid: found.uid.as_raw(), gid: found.gid.as_raw(), home: found.dir })
}

fn checked(env: &Spanned<BTreeMap<String, String>>) -> Result<(), Fault> {
    let bad = |(name, value): &(&String, &String)| {
        name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
    };
    match env.get_ref().iter().find(bad) {
        Some((name, _)) => Err(wrong(env, format!("'{name}' can be in no environment"))),
        None => Ok(()),
    }
}

fn call(raw: &RawHttp) -> Result<Call, Fault> {
    let headers = raw.headers.iter().map(header).collect::<Result<_, _>>()?;
    let method = raw.method.as_ref().map_or(Ok(Method::GET), method)?;
    let expect = raw.expect.as_ref().map_or(Ok(Vec::new()), expected)?;
    Ok(Call { method, uri: uri(&raw.url)?, headers, body: raw.body.clone(), expect })
}

fn header((name, value): (&String, &Spanned<String>)) -> Result<(HeaderName, HeaderValue), Fault> {
    let wrong = |_| wrong(value, format!("'{name}' and its value are no header"));
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.into()))?;
    let value = HeaderValue::from_str(value.get_ref())
        .map_err(|error| wrong(hyper::http::Error::from(error)))?;
    Ok((header, value))
}

fn method(text: &Spanned<String>) -> Result<Method, Fault> {
    let known =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let method = known.into_iter().find(|method| method.as_str() == text.get_ref());
    method.ok_or_else(|| wrong(text, "a method is GET, HEAD, POST, PUT, PATCH or DELETE"))
}

fn expected(statuses: &Spanned<Vec<u16>>) -> Result<Vec<u16>, Fault> {
    let all = statuses.get_ref();
    if all.is_empty() || all.iter().any(|status| !(200..600).contains(status)) {
        return Err(wrong(
            statuses,
            "what is expected is statuses, 200 to 599, such as [200, 204]",
        ));
    }
    Ok(all.clone())
}

fn uri(text: &Spanned<String>) -> Result<Uri, Fault> {
    let uri: Uri =
        text.get_ref().parse().map_err(|error| wrong(text, format!("it is no URL: {error}")))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err(wrong(text, "https is not spoken here; a command such as curl speaks it"));
        }
        _ => return Err(wrong(text, "a URL begins with http://")),
    }
    let host = uri.host().unwrap_or_default();
    let is_host = !host.is_empty() && (!host.starts_with('[') || address(host).is_some());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if has_user || !is_host || uri.port_u16() == Some(0) {
        return Err(wrong(text, "a URL is http://HOST:PORT/PATH, and names no user"));
    }
    Ok(uri)
}

/// An address of version 6, in brackets.
fn address(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}
