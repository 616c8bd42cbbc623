//! The figures for Prometheus to scrape: in OpenMetrics 1.0, or in its older text for who does not ask
//! for that.
//!
//! A page is written from one reading of the engine, section by section. Whoever scrapes while another
//! does, or right after, gets the other's page: so scraping costs the engine the same, however many do.
//! Names and units follow <https://prometheus.io/docs/practices/naming>. Start at [`SECTIONS`].

mod about;
mod classic;
mod connections;
mod cores;
mod counts;
mod histograms;
mod page;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use ringroad_config::schema::Config;
use ringroad_engine::telemetry::Recorders;

use self::about::About;
use self::histograms::Measured;
use self::page::Page;
use self::shared::Shared;
use crate::admin::Admin;
use crate::stats::Stats;

/// What writes one part of a page.
type Section = fn(&mut Page<'_>, &Scrape) -> fmt::Result;

/// The parts of a page, in their order.
const SECTIONS: [Section; 14] = [
    about::write,
    counts::ledger,
    counts::frames,
    counts::services,
    counts::origins,
    counts::tcp,
    counts::shield,
    counts::cookies,
    counts::ports,
    counts::recording,
    cores::write,
    connections::paths,
    connections::census,
    histograms::write,
];

/// What a page is written from.
#[derive(Debug)]
pub(crate) struct Scrape {
    about: Arc<About>,
    stats: Stats,
    measured: Measured,
    /// Of each polling thread.
    stalls: Vec<u64>,
}

impl Scrape {
    fn into_page(self) -> String {
        let mut registry = Registry::with_prefix("ringroad");
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        // Writing to a `String` cannot fail.
        let _ = encode(&mut page, &registry);
        page
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page::new(encoder);
        SECTIONS.iter().try_for_each(|section| section(&mut page, self))
    }
}

/// Answers scrapes.
#[derive(Debug)]
pub(crate) struct Exporter {
    admin: Arc<Admin>,
    about: Arc<About>,
    /// The latest page, or why there is none.
    pages: Shared<Result<Arc<str>, Arc<str>>>,
}

impl Exporter {
    /// Of an engine that has just been started.
    pub(crate) fn new(admin: Arc<Admin>, config: &Config) -> Self {
        let about = Arc::new(About::new(config, admin.names.threads.clone()));
        Exporter { admin, about, pages: Shared::new(READ_INTERVAL) }
    }

    async fn page(&self) -> Result<Arc<str>, Arc<str>> {
        let page = async {
            let scrape = self.read().await.map_err(|error| format!("{error:#}\n"))?;
            Ok(scrape.into_page().into())
        };
        self.pages.get(page).await
    }

    async fn read(&self) -> anyhow::Result<Scrape> {
        let threads = self.about.threads();
        let measure = |recorded: &[Recorders]| Measured::of(threads, recorded);
        let (stats, measured) = self.admin.stats_with(measure).await?;
        let stats = Stats { census: self.admin.census().await, ..stats };
        let stalls = self.admin.crew.stalls().collect();
        Ok(Scrape { about: self.about.clone(), stats, measured, stalls })
    }
}

/// Where scrapes are answered.
pub(crate) fn router(exporter: Arc<Exporter>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(exporter)
}

async fn scrape(State(exporter): State<Arc<Exporter>>, headers: HeaderMap) -> Response {
    match exporter.page().await {
        Ok(page) if takes_openmetrics(&headers) => {
            ([(CONTENT_TYPE, OPENMETRICS)], page.to_string()).into_response()
        }
        Ok(page) => ([(CONTENT_TYPE, CLASSIC)], classic::from_openmetrics(&page)).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.to_string()).into_response(),
    }
}

/// Whoever knows of it prefers it.
fn takes_openmetrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|types| types.to_str().ok());
    accepted.into_iter().any(|types| types.contains("application/openmetrics-text"))
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often the engine is read at most, however many scrape it.
const READ_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
