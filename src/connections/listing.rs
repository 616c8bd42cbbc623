//! The engine's side of `ringroad connections`: one page after the other, each asked for when the last
//! has been sent. Memory is that of a page, however many connections there are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use percent_encoding::percent_decode_str;
use ringroad_engine::proxy::ConnectionView;
use ringroad_engine::stage::{Page, Wanted};

use super::expression::Expression;
use super::shown::Connection;
use crate::admin::Admin;
use crate::crew::Crew;

/// What a reader asks for.
#[derive(Debug, Default)]
pub(crate) struct Query {
    filter: Vec<Expression>,
    limit: Option<usize>,
}

/// Goes through all threads' connections.
#[derive(Debug)]
pub(crate) struct Walk {
    crew: Crew,
    /// Whose connections are looked at.
    member: usize,
    /// `None` while it is with the thread.
    page: Option<Box<Page>>,
    begun: bool,
}

/// What is still to be sent of an answer.
#[derive(Debug)]
struct Listing {
    admin: Arc<Admin>,
    walk: Walk,
    query: Query,
}

impl Walk {
    pub(crate) fn new(crew: Crew, wanted: Wanted) -> Self {
        Walk { crew, member: 0, page: Some(Box::new(Page::new(wanted))), begun: false }
    }

    /// The next page, which may be empty, and whose it is; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<(usize, &[ConnectionView])>> {
        let Some(mut page) = self.page.take() else { return Ok(None) };
        if page.is_last() {
            self.member += 1;
            page.rewind();
        }
        if self.member == self.crew.len() {
            return Ok(None);
        }
        if std::mem::replace(&mut self.begun, true) {
            tokio::time::sleep(PAGE_PAUSE).await;
        }
        let page = self.page.insert(self.crew.show(self.member, page).await?);
        Ok(Some((self.member, page.views())))
    }
}

impl Listing {
    /// The lines of the next page; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.query.limit == Some(0) {
            return Ok(None);
        }
        let Some((member, views)) = self.walk.next().await? else { return Ok(None) };
        let names = &self.admin.names;
        let mut lines = Vec::new();
        for view in views {
            let service = names.services.get(usize::from(view.service)).map_or("", String::as_str);
            let worker = names.threads.get(member).map_or("", |thread| thread.name.as_str());
            let connection = Connection::new(view, service, worker);
            if !self.query.filter.iter().all(|expression| expression.holds(&connection)) {
                continue;
            }
            if let Some(left) = &mut self.query.limit {
                let Some(less) = left.checked_sub(1) else { break };
                *left = less;
            }
            serde_json::to_writer(&mut lines, &connection)?;
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}

impl Query {
    pub(crate) fn new(filter: Vec<Expression>, limit: Option<usize>) -> Self {
        Query { filter, limit }
    }

    /// As it stands behind the `?` of a request.
    pub(crate) fn to_text(&self) -> String {
        let encode =
            |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let filter = self.filter.iter().map(|each| format!("filter={}", encode(each.text())));
        let limit = self.limit.iter().map(|limit| format!("limit={limit}"));
        filter.chain(limit).collect::<Vec<_>>().join("&")
    }

    /// What [`Query::to_text`] says.
    fn parse(text: &str) -> Result<Self> {
        let mut query = Query::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8().context("a filter is no text")?;
            match key {
                "filter" => {
                    query.filter.push(value.parse().map_err(|wrong: String| anyhow!(wrong))?)
                }
                "limit" => query.limit = Some(value.parse().context("limit is no number")?),
                _ => {
                    return Err(anyhow!("{key:?} cannot be asked for: there are filter and limit"));
                }
            }
        }
        Ok(query)
    }

    /// What the engine is to look for.
    fn wanted(&self, services: &[String]) -> Result<Wanted> {
        let mut wanted = Wanted::default();
        for expression in &self.filter {
            expression.narrow(&mut wanted, services).map_err(|wrong| anyhow!(wrong))?;
        }
        Ok(wanted)
    }
}

/// `GET /connections`: a line of JSON for each.
pub(crate) async fn answer(State(admin): State<Arc<Admin>>, RawQuery(text): RawQuery) -> Response {
    let asked = Query::parse(text.as_deref().unwrap_or_default())
        .and_then(|query| Ok((query.wanted(&admin.names.services)?, query)));
    let (wanted, query) = match asked {
        Ok(asked) => asked,
        Err(wrong) => return (StatusCode::BAD_REQUEST, format!("{wrong:#}\n")).into_response(),
    };
    let walk = Walk::new(admin.crew.clone(), wanted);
    let listing = Listing { admin, walk, query };
    let pages = stream::try_unfold(listing, |mut listing| async move {
        let lines = listing.next().await.inspect_err(|error| {
            tracing::warn!("a list of connections breaks off: {error:#}");
        })?;
        anyhow::Ok(lines.map(|lines| (lines, listing)))
    });
    ([(CONTENT_TYPE, "application/jsonl")], Body::from_stream(pages)).into_response()
}

/// How long a thread is left alone between two pages: so that a long list takes a few percent of its
/// time.
const PAGE_PAUSE: Duration = Duration::from_millis(1);
