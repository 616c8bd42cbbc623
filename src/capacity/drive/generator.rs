//! An open load of HTTP requests: each has a time at which it is to be sent, whatever became of those
//! before it.
//!
//! Latency counts from that time on. A client that waits for one reply before it asks again would send less
//! while the server is slow, and not see most of what its users would ("coordinated omission"; the idea is
//! that of wrk2). Requests come at random, as from many users (a Poisson process), and wait here if all connections
//! are in use.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use ringroad_engine::random::Random;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::timeout;

use super::super::steps::{Kind, Step};
use super::target::Target;
use crate::unix_time;

/// Connections that wait for requests to send. Lives in a [`tokio::task::LocalSet`].
#[derive(Debug)]
pub(super) struct Generator {
    desk: Rc<Desk>,
    random: Random,
}

/// Where requests are left, and what became of them is noted.
#[derive(Debug)]
struct Desk {
    target: Target,
    /// When each is to be sent.
    due: RefCell<VecDeque<Instant>>,
    came: Notify,
    /// Whether whoever is done goes on at once, whatever is due.
    is_closed_loop: Cell<bool>,
    kind: Cell<Kind>,
    in_flight: Cell<usize>,
    /// Nothing is in flight any more.
    is_quiet: Notify,
    latency: RefCell<Histogram<u64>>,
    failed: Cell<u64>,
}

/// Requests that are sent with a connection to send them on.
type Sender = SendRequest<Empty<Bytes>>;

impl Generator {
    pub(super) fn new(target: Target, connections: usize, seed: u64) -> Result<Self> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, SIGNIFICANT_DIGITS)?;
        let desk = Rc::new(Desk {
            target,
            due: RefCell::default(),
            came: Notify::new(),
            is_closed_loop: Cell::new(false),
            kind: Cell::new(Kind::Load),
            in_flight: Cell::new(0),
            is_quiet: Notify::new(),
            latency: RefCell::new(latency),
            failed: Cell::new(0),
        });
        for _ in 0..connections {
            spawn_local(desk.clone().serve());
        }
        Ok(Generator { desk, random: Random::new(seed) })
    }

    /// One request, so that a target that does not answer is found out at once.
    pub(super) async fn try_out(&self) -> Result<()> {
        let target = &self.desk.target;
        let tried = timeout(ANSWER_WITHIN, ask(&mut None, target, Kind::Load)).await;
        let what = || format!("{target} does not answer");
        tried.context("no answer in time").and_then(|answered| answered).with_context(what)
    }

    /// As many requests of a kind as the connections get through [requests/s].
    pub(super) async fn most(&self, kind: Kind, time: Duration) -> f64 {
        let began = self.begin(kind);
        self.desk.is_closed_loop.set(true);
        self.desk.came.notify_waiters();
        tokio::time::sleep(time).await;
        self.desk.is_closed_loop.set(false);
        let answered = self.desk.latency.borrow().len() as f64;
        let rate = answered / began.elapsed().as_secs_f64();
        self.quiet().await;
        rate
    }

    /// Requests at a rate [requests/s], on average.
    pub(super) async fn step(&mut self, kind: Kind, rate: f64, time: Duration) -> Result<Step> {
        let began_unix = unix_time::now().as_secs_f64();
        let began = self.begin(kind);
        pace(&self.desk, self.random.draw(), rate, began + time).await?;
        let ended_unix = unix_time::now().as_secs_f64();
        let answered = self.desk.latency.borrow().len() as f64 / (ended_unix - began_unix);
        // Who waits still has waited for so long at least.
        let waiting = std::mem::take(&mut *self.desk.due.borrow_mut());
        waiting.into_iter().for_each(|due| self.desk.note(due));
        self.quiet().await;
        let latency = self.desk.latency.borrow();
        Ok(Step {
            began: began_unix,
            ended: ended_unix,
            kind,
            offered: rate,
            answered,
            failed: self.desk.failed.get(),
            p50_us: latency.value_at_quantile(0.5) as f64,
            p99_us: latency.value_at_quantile(0.99) as f64,
        })
    }

    fn begin(&self, kind: Kind) -> Instant {
        self.desk.kind.set(kind);
        self.desk.latency.borrow_mut().reset();
        self.desk.failed.set(0);
        Instant::now()
    }

    /// Until all that was sent is answered, or has had its time.
    async fn quiet(&self) {
        while self.desk.in_flight.get() > 0 {
            self.desk.is_quiet.notified().await;
        }
    }
}

impl Desk {
    /// One connection's work; never ends.
    async fn serve(self: Rc<Self>) {
        let mut sender = None;
        loop {
            let due = self.next().await;
            self.in_flight.set(self.in_flight.get() + 1);
            let kind = self.kind.get();
            match timeout(ANSWER_WITHIN, ask(&mut sender, &self.target, kind)).await {
                Ok(Ok(())) => self.note(due),
                Ok(Err(_)) | Err(_) => {
                    self.failed.set(self.failed.get() + 1);
                    sender = None;
                    // Who refuses is not asked again at once.
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
            self.in_flight.set(self.in_flight.get() - 1);
            if self.in_flight.get() == 0 {
                self.is_quiet.notify_one();
            }
        }
    }

    /// When the next request was to be sent, once that is.
    async fn next(&self) -> Instant {
        loop {
            if self.is_closed_loop.get() {
                return Instant::now();
            }
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return due;
            }
            self.came.notified().await;
        }
    }

    fn note(&self, due: Instant) {
        let micros = due.elapsed().as_micros() as u64;
        self.latency.borrow_mut().saturating_record(micros.max(1));
    }
}

/// Sends a request and takes all of the reply.
async fn ask(sender: &mut Option<Sender>, target: &Target, kind: Kind) -> Result<()> {
    if sender.as_ref().is_none_or(SendRequest::is_closed) || kind == Kind::NewConnections {
        *sender = Some(connect(target).await?);
    }
    let Some(sender) = sender else { bail!("there is no connection") };
    sender.ready().await?;
    let path = match kind {
        Kind::OtherReplies => target.other.as_deref().unwrap_or(&target.path),
        Kind::Load | Kind::NewConnections => &target.path,
    };
    let mut request = Request::get(path).header(header::HOST, &target.authority);
    if kind == Kind::NewConnections {
        request = request.header(header::CONNECTION, "close");
    }
    let mut reply = sender.send_request(request.body(Empty::new())?).await?;
    if !reply.status().is_success() {
        bail!("{path} is answered with {}", reply.status());
    }
    while let Some(part) = reply.body_mut().frame().await {
        part?;
    }
    Ok(())
}

async fn connect(target: &Target) -> Result<Sender> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    Ok(sender)
}

/// Leaves requests on the desk at random times, on average so many a second.
async fn pace(desk: &Desk, seed: u64, rate: f64, until: Instant) -> Result<()> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    // tokio's timers are for milliseconds; a thread can sleep for less.
    let pacer = spawn_blocking(move || {
        let random = &mut Random::new(seed);
        let mut next = Instant::now() + pause(random, rate);
        while next < until {
            sleep(next.saturating_duration_since(Instant::now()).max(TOGETHER));
            let now = Instant::now().min(until);
            while next <= now {
                // Nobody listens any more when the drive has ended early.
                if sender.send(next).is_err() {
                    return;
                }
                next += pause(random, rate);
            }
        }
    });
    while let Some(due) = receiver.recv().await {
        desk.due.borrow_mut().push_back(due);
        desk.came.notify_one();
    }
    pacer.await?;
    tokio::time::sleep_until(until.into()).await;
    Ok(())
}

/// Between two events that know nothing of each other.
fn pause(random: &mut Random, rate: f64) -> Duration {
    // From 0, exclusive, to 1.
    let chance = ((random.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    Duration::from_secs_f64(-chance.ln() / rate)
}

/// Requests that are due so shortly one after another are sent together: to wake costs, too.
const TOGETHER: Duration = Duration::from_micros(50);

/// A request that is not answered within this time has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// One minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

#[cfg(test)]
mod tests;
