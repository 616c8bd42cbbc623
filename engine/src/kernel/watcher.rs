//! Keeps the snapshot current: listens to Linux's news, publishes, and asks on others' behalf.
//!
//! One task on the control plane's runtime owns the sockets and the newest picture. It publishes
//! the first change at once and gathers those that follow within [`PUBLISH_INTERVAL`]. Where news
//! do not tell the outcome, or were lost, it reads the tables again: beside everything else, no
//! more often than leaves it most of its time, and with the news of the meantime applied on top.
//!
//! A snapshot that has been replaced is kept until nobody else holds it, so that the last
//! reference, and with it the work of freeing, is never a worker's.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::neighbour::NextHop;
use super::netlink::{Dump, Netlink, News, Unread, apply_news, log_refusal};
use super::routes::Routes;
use crate::limits::{KERNEL_QUESTIONS_MAX, NEIGHBOURS_IN_USE_MAX, NEWS_WHILE_READING_MAX};

/// Shortest time between two publications.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(2);

/// Shortest time between two readings of whole tables. Reading also never takes more than a
/// fifth of the task's time: after one that took `t`, the next waits `4 t`.
const READ_INTERVAL: Duration = Duration::from_millis(20);

/// How long a neighbour counts as in use after the last word of it. Linux calls an entry stale
/// after 15 to 45 seconds, so that a user has to speak up about once a minute.
const IN_USE_FOR: Duration = Duration::from_secs(60);

/// How long to wait before sockets that failed are opened anew.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

const ENOBUFS: i32 = nix::errno::Errno::ENOBUFS as i32;

/// Why Linux's tables could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("cannot open a netlink socket: {0}; is the process allowed AF_NETLINK (seccomp)?")]
    Open(#[source] io::Error),
    #[error("cannot read Linux's {what} over netlink: {source}")]
    Read { what: &'static str, source: io::Error },
}

/// Follows Linux until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    task: tokio::task::JoinHandle<()>,
    resolver: Resolver,
}

impl Watcher {
    /// Reads everything, and from then on hands every newer snapshot to `publish`, on the task
    /// that follows Linux: it must not block. Belongs on a tokio runtime with I/O and time; the
    /// sockets belong to the network namespace of the thread that first polls this.
    pub async fn start(
        publish: impl FnMut(Arc<Routes>) + Send + 'static,
    ) -> Result<(Watcher, Arc<Routes>), KernelError> {
        let (questions, asked) = mpsc::channel(KERNEL_QUESTIONS_MAX);
        let sockets = Sockets::open()?;
        let mut follower = Follower {
            sockets,
            routes: Routes::default(),
            published: Arc::default(),
            retired: Vec::new(),
            publish,
            in_use: HashMap::new(),
            publish_at: None,
            published_at: Instant::now(),
            read: None,
            read_not_before: Instant::now(),
            reading: None,
        };
        follower.start_reading(Scope::Everything)?;
        let read = finished(&mut follower.reading).await;
        follower.finish_reading(read)?;
        follower.routes.set_generation(1);
        follower.publish_at = None;
        follower.published = Arc::new(follower.routes.clone());
        let first = Arc::clone(&follower.published);
        let task = tokio::spawn(follower.follow(asked));
        Ok((Watcher { task, resolver: Resolver { questions } }, first))
    }

    /// For whoever needs to ask Linux something; may be cloned and sent to other threads.
    pub fn resolver(&self) -> Resolver {
        self.resolver.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads everything once, without following it: for checks before start.
pub async fn read_once() -> Result<Routes, KernelError> {
    read(Netlink::questions().map_err(KernelError::Open)?, Scope::Everything).await
}

async fn read(mut socket: Netlink, scope: Scope) -> Result<Routes, KernelError> {
    let whats: &[Dump] = match scope {
        Scope::Routes => &[Dump::Routes],
        Scope::Everything => &Dump::ALL,
    };
    let mut routes = Routes::default();
    for &what in whats {
        socket.dump(what, &mut routes).await.map_err(|source| read_error(what, source))?;
    }
    Ok(routes)
}

fn read_error(what: Dump, source: io::Error) -> KernelError {
    let what = match what {
        Dump::Links => "links",
        Dump::Addresses => "addresses",
        Dump::Routes => "routes",
        Dump::Neighbours => "neighbours",
    };
    KernelError::Read { what, source }
}

/// Asks Linux about neighbours, from any thread, without waiting.
#[derive(Clone, Debug)]
pub struct Resolver {
    questions: mpsc::Sender<Question>,
}

#[derive(Clone, Copy, Debug)]
enum Question {
    Resolve(NextHop),
    InUse(NextHop),
}

impl Resolver {
    /// Has Linux find out the Ethernet address of `next_hop`, which [`Routes::path_to`] did not
    /// know; the answer, also that there is none, is a newer snapshot. Asking twice does no harm.
    ///
    /// Returns whether the question was taken; if not, too many wait already: ask again later.
    pub fn resolve(&self, next_hop: NextHop) -> bool {
        self.questions.try_send(Question::Resolve(next_hop)).is_ok()
    }

    /// Says that packets go to `next_hop`, so that Linux, which does not see them, does not take
    /// it for unused: for the next minute it is confirmed whenever it goes stale, and its failure
    /// is noticed. To be said again at least that often; once per neighbour, not per connection.
    ///
    /// Returns whether the word was taken; if not, say it again later.
    pub fn in_use(&self, next_hop: NextHop) -> bool {
        self.questions.try_send(Question::InUse(next_hop)).is_ok()
    }
}

struct Sockets {
    news: Netlink,
    questions: Netlink,
}

impl Sockets {
    fn open() -> Result<Sockets, KernelError> {
        let news = Netlink::news().map_err(KernelError::Open)?;
        let questions = Netlink::questions().map_err(KernelError::Open)?;
        Ok(Sockets { news, questions })
    }
}

/// How much is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Routes,
    Everything,
}

/// Tables that are being read.
struct Reading {
    scope: Scope,
    started: Instant,
    read: Pin<Box<dyn Future<Output = Result<Routes, KernelError>> + Send>>,
    /// What was news since.
    news: Vec<News>,
    /// There was more than is kept.
    missed: bool,
}

/// Waits for tables to be read; for ever if none are.
async fn finished(reading: &mut Option<Reading>) -> Result<Routes, KernelError> {
    match reading {
        Some(reading) => reading.read.as_mut().await,
        None => std::future::pending().await,
    }
}

struct Follower<P> {
    sockets: Sockets,
    /// The newest picture, ahead of what is published by what has been gathered since.
    routes: Routes,
    published: Arc<Routes>,
    /// Replaced snapshots that somebody still holds. As many as there are readers that lag.
    retired: Vec<Arc<Routes>>,
    publish: P,
    /// Neighbours that packets go to, and when that was last said.
    in_use: HashMap<NextHop, Instant>,
    publish_at: Option<Instant>,
    published_at: Instant,
    read: Option<Scope>,
    read_not_before: Instant,
    reading: Option<Reading>,
}

impl<P: FnMut(Arc<Routes>) + Send + 'static> Follower<P> {
    async fn follow(mut self, mut asked: mpsc::Receiver<Question>) {
        loop {
            let Err(error) = self.follow_until_error(&mut asked).await else { return };
            tracing::error!("{error}; what is known of routes and neighbours stands still");
            loop {
                tokio::time::sleep(REOPEN_AFTER).await;
                match Sockets::open() {
                    Ok(sockets) => {
                        self.sockets = sockets;
                        self.reading = None;
                        self.read = Some(Scope::Everything);
                        break;
                    }
                    Err(error) => tracing::error!("{error}; trying again"),
                }
            }
        }
    }

    /// Returns when nobody is left to publish for, or the sockets fail.
    async fn follow_until_error(
        &mut self,
        asked: &mut mpsc::Receiver<Question>,
    ) -> Result<(), KernelError> {
        loop {
            let idle = self.reading.is_none();
            let read_at = self.read.filter(|_| idle).map(|_| self.read_not_before);
            tokio::select! {
                // In no fixed order: neither a stream of news nor one of questions holds up the rest.
                () = at(self.publish_at) => self.publish_now(),
                () = at(read_at) => {
                    if let Some(scope) = self.read.take() {
                        self.start_reading(scope)?;
                    }
                }
                read = finished(&mut self.reading) => self.finish_reading(read)?,
                question = asked.recv() => match question {
                    Some(question) => self.answer(question).await,
                    None => return Ok(()),
                },
                received = self.sockets.news.receive() => match received {
                    Ok(()) => self.take_in_news().await,
                    Err(error) if error.raw_os_error() == Some(ENOBUFS) => {
                        tracing::warn!("netlink news were lost; reading everything again");
                        // Linux drops all further news, without saying so again, until what waits
                        // in the socket has been read. A new one starts empty.
                        self.sockets.news = Netlink::news().map_err(KernelError::Open)?;
                        self.read = Some(Scope::Everything);
                    }
                    Err(source) => return Err(KernelError::Read { what: "news", source }),
                },
                received = self.sockets.questions.receive() => match received {
                    Ok(()) => {
                        self.sockets.questions.messages().flatten().for_each(|m| log_refusal(&m));
                    }
                    // Refusals that nobody waits for were lost.
                    Err(error) if error.raw_os_error() == Some(ENOBUFS) => {}
                    Err(source) => return Err(KernelError::Read { what: "answers", source }),
                },
            }
        }
    }

    async fn take_in_news(&mut self) {
        let refused_before = self.routes.refused();
        let mut stale = None;
        for message in self.sockets.news.messages() {
            let message = match message {
                Ok(message) => message,
                // Linux says so before it takes the routes out.
                Err(Unread::NextHopObject) => {
                    let soon = Instant::now() + READ_INTERVAL;
                    self.read_not_before = self.read_not_before.max(soon);
                    self.read = self.read.max(Some(Scope::Routes));
                    continue;
                }
                // A message that we cannot read may have been any; a table read whole has the
                // same entry, perhaps readable, and all others in any case.
                Err(Unread::Garbled) => {
                    tracing::debug!("a netlink notification could not be read");
                    continue;
                }
            };
            let effect = apply_news(&mut self.routes, &message);
            if let Some(reading) = &mut self.reading {
                if reading.news.len() < NEWS_WHILE_READING_MAX {
                    reading.news.push(message);
                } else {
                    reading.missed = true;
                }
            }
            if effect.changed && self.publish_at.is_none() {
                self.publish_at = Some(self.published_at + PUBLISH_INTERVAL);
            }
            if effect.read_again {
                self.read = self.read.max(Some(Scope::Routes));
            }
            // Notifications come one to a datagram; should several, the next word of use will do
            // for the others.
            stale = effect.stale.or(stale);
        }
        self.warn_if_refused(refused_before);
        if let Some(next_hop) = stale
            && self.in_use.get(&next_hop).is_some_and(|said| said.elapsed() < IN_USE_FOR)
        {
            self.use_neighbour(next_hop).await;
        }
    }

    async fn answer(&mut self, question: Question) {
        match question {
            Question::Resolve(next_hop) => self.use_neighbour(next_hop).await,
            Question::InUse(next_hop) => {
                if self.in_use.len() >= NEIGHBOURS_IN_USE_MAX {
                    self.in_use.retain(|_, said| said.elapsed() < IN_USE_FOR);
                }
                if self.in_use.len() < NEIGHBOURS_IN_USE_MAX || self.in_use.contains_key(&next_hop)
                {
                    self.in_use.insert(next_hop, Instant::now());
                }
                if self.routes.is_stale(next_hop) {
                    self.use_neighbour(next_hop).await;
                }
            }
        }
    }

    async fn use_neighbour(&mut self, next_hop: NextHop) {
        if let Err(error) = self.sockets.questions.use_neighbour(next_hop).await {
            tracing::debug!("cannot ask Linux for neighbour {}: {error}", next_hop.address);
        }
    }

    /// Begins to read tables whole, on a socket of its own.
    fn start_reading(&mut self, scope: Scope) -> Result<(), KernelError> {
        let socket = Netlink::questions().map_err(KernelError::Open)?;
        self.reading = Some(Reading {
            scope,
            started: Instant::now(),
            read: Box::pin(read(socket, scope)),
            news: Vec::new(),
            missed: false,
        });
        Ok(())
    }

    /// Puts what was read in place, as it has become by now.
    fn finish_reading(&mut self, read: Result<Routes, KernelError>) -> Result<(), KernelError> {
        let fresh = read?;
        let Some(reading) = self.reading.take() else { return Ok(()) };
        let refused_before = self.routes.refused();
        match reading.scope {
            Scope::Routes => self.routes.adopt_routes(fresh),
            Scope::Everything => self.routes = fresh,
        }
        let mut read_again = reading.missed;
        for message in &reading.news {
            read_again |= apply_news(&mut self.routes, message).read_again;
        }
        if read_again {
            self.read = self.read.max(Some(reading.scope));
        }
        self.warn_if_refused(refused_before);
        self.publish_at.get_or_insert(self.published_at + PUBLISH_INTERVAL);
        let took = reading.started.elapsed();
        self.read_not_before = Instant::now() + (took * 4).max(READ_INTERVAL);
        Ok(())
    }

    fn warn_if_refused(&self, before: u64) {
        if before == 0 && self.routes.refused() > 0 {
            tracing::warn!(
                "Linux has more routes, neighbours or links than ringroad keeps ({} routes, {} \
                 neighbours kept): some destinations are not reached, or by a wider route",
                self.routes.route_count(),
                self.routes.neighbour_count(),
            );
        }
    }

    fn publish_now(&mut self) {
        self.publish_at = None;
        self.published_at = Instant::now();
        self.routes.set_generation(self.published.generation() + 1);
        let newest = Arc::new(self.routes.clone());
        self.retired.push(std::mem::replace(&mut self.published, Arc::clone(&newest)));
        (self.publish)(newest);
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

/// Waits until then; for ever if there is no then.
async fn at(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}
