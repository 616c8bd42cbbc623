//! Connections as people look at them: a page at a time, between two turns.
//!
//! A reader brings room for a page and says which connections it wants; the worker looks at a few
//! and copies what there is to see of those. Nothing that a reader asks for holds up traffic for
//! longer than a page takes, and nothing is kept here between two pages: the page says where to go
//! on.
//!
//! Those that sleep come first, then those awake that have been so since the listing began. A
//! connection that falls asleep or wakes meanwhile is so shown once at most.

use ipnet::IpNet;

use super::Worker;
use crate::flow::FlowKey;
use crate::limits::CONNECTIONS_PER_PAGE;
use crate::proxy::ConnectionView;
use crate::time::Instant;

/// Which connections are wanted, as far as it costs little to tell. All that is said must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Index of the service.
    pub service: Option<u16>,
    /// Where the client is, and the origin.
    pub client: Option<IpNet>,
    pub origin: Option<IpNet>,
    /// Of either end of either leg.
    pub port: Option<u16>,
}

/// Room for a part of a worker's connections, made by the reader.
#[derive(Debug)]
pub struct Page {
    wanted: Wanted,
    views: Vec<ConnectionView>,
    place: Place,
    /// When the first page was asked for.
    began: Option<Instant>,
}

/// What is looked at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Asleep(u32),
    Awake(u32),
    End,
}

impl Page {
    /// Before the first of a worker's connections.
    pub fn new(wanted: Wanted) -> Self {
        Page {
            wanted,
            views: Vec::with_capacity(CONNECTIONS_PER_PAGE),
            place: Place::Asleep(0),
            began: None,
        }
    }

    /// The same room for another worker's connections, from the first on.
    pub fn rewind(&mut self) {
        self.views.clear();
        (self.place, self.began) = (Place::Asleep(0), None);
    }

    /// What it holds.
    pub fn views(&self) -> &[ConnectionView] {
        &self.views
    }

    /// Whether there is nothing behind it.
    pub fn is_last(&self) -> bool {
        self.place == Place::End
    }

    /// Of who has no connections.
    pub fn end(&mut self) {
        self.views.clear();
        self.place = Place::End;
    }
}

impl Wanted {
    fn admits(&self, service: u16, client: Option<&FlowKey>, origin: Option<&FlowKey>) -> bool {
        let within = |net: &Option<IpNet>, key: Option<&FlowKey>| {
            net.is_none_or(|net| key.is_some_and(|key| net.contains(&key.remote().ip())))
        };
        let has_port = |port| {
            let mut keys = client.into_iter().chain(origin);
            keys.any(|key| key.local().port() == port || key.remote().port() == port)
        };
        self.service.is_none_or(|wanted| wanted == service)
            && within(&self.client, client)
            && within(&self.origin, origin)
            && self.port.is_none_or(has_port)
    }
}

impl Worker {
    /// Fills a page with what comes next, and takes no memory for it.
    pub fn show(&self, page: &mut Page) {
        page.views.clear();
        let began = *page.began.get_or_insert(self.now);
        for _ in 0..CONNECTIONS_PER_PAGE {
            let view = match page.place {
                Place::Asleep(index) if index < self.dormitory.indices().end => {
                    page.place = Place::Asleep(index + 1);
                    self.view_asleep(index, &page.wanted)
                }
                Place::Asleep(_) => {
                    page.place = Place::Awake(0);
                    None
                }
                Place::Awake(index) if index < self.pairs.indices().end => {
                    page.place = Place::Awake(index + 1);
                    self.view_awake(index, &page.wanted, began)
                }
                Place::Awake(_) | Place::End => {
                    page.place = Place::End;
                    return;
                }
            };
            page.views.extend(view);
        }
    }

    fn view_asleep(&self, index: u32, wanted: &Wanted) -> Option<ConnectionView> {
        let pair = self.dormitory.get(index)?;
        let [client, origin] = &pair.legs;
        if !wanted.admits(pair.service, Some(&client.key), Some(&origin.key)) {
            return None;
        }
        let settings = &self.services[usize::from(pair.service)].settings;
        Some(pair.view(settings, &self.chunks, self.now))
    }

    fn view_awake(&self, index: u32, wanted: &Wanted, began: Instant) -> Option<ConnectionView> {
        let pair = self.pairs.get(index)?;
        let [client, origin] = pair.legs.each_ref().map(|leg| leg.as_ref().map(|leg| &leg.key));
        let is_wanted = pair.awake_since <= began && wanted.admits(pair.service, client, origin);
        is_wanted.then(|| pair.view(&self.chunks, self.now))
    }
}
