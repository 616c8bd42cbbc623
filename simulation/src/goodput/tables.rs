//! Tables of the snapshot for people to read, as docs/goodput.md shows them.
//!
//! The page has a pair of comments for each table, `<!-- table: NAME -->` and `<!-- end -->`; what
//! is between them is written here.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::goodput::matrix::{ALGORITHMS, LOSSES_PPM, RATES_MBPS, ROUND_TRIPS_MS, Table, percent};
use crate::goodput::snapshot::Snapshot;

/// The rows of both tables.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    pub goodput: Snapshot,
    pub fairness: Snapshot,
}

impl Snapshots {
    /// Reads what is kept.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read() -> io::Result<Snapshots> {
        Ok(Snapshots {
            goodput: Snapshot::read(Table::Goodput)?,
            fairness: Snapshot::read(Table::Fairness)?,
        })
    }

    pub fn of(&self, table: Table) -> &Snapshot {
        match table {
            Table::Goodput => &self.goodput,
            Table::Fairness => &self.fairness,
        }
    }

    pub fn of_mut(&mut self, table: Table) -> &mut Snapshot {
        match table {
            Table::Goodput => &mut self.goodput,
            Table::Fairness => &mut self.fairness,
        }
    }

    /// The page, with its tables as they are kept now; and the page as it is.
    ///
    /// # Errors
    /// If it cannot be read, or asks for a table that there is not.
    pub fn page(&self) -> io::Result<(String, String)> {
        let old = fs::read_to_string(page_path())?;
        let mut new = String::new();
        let mut lines = old.lines();
        while let Some(line) = lines.next() {
            new += line;
            new.push('\n');
            let name = line.strip_prefix("<!-- table: ").and_then(|rest| rest.strip_suffix(" -->"));
            if let Some(name) = name {
                let table = self.table(name).ok_or_else(|| {
                    io::Error::other(format!("docs/goodput.md: there is no table `{name}`"))
                })?;
                new += &format!("\n{table}\n{END}\n");
                lines.by_ref().find(|line| *line == END);
            }
        }
        Ok((new, old))
    }

    /// Writes the page.
    ///
    /// # Errors
    /// As for [`Snapshots::page`], or if it cannot be written.
    pub fn write_page(&self) -> io::Result<()> {
        let (page, _) = self.page()?;
        fs::write(page_path(), page)
    }

    fn table(&self, name: &str) -> Option<String> {
        Some(match name {
            "loss-free" => self.by_path("0,none", "goodput_percent"),
            "loss-free-whole" => self.by_path("0,none", "goodput_whole_percent"),
            "random-loss" => self.by_loss("random"),
            "bursty-loss" => self.by_loss("bursts"),
            "late" => {
                self.by_some_paths("1.0,1,late", &["goodput_percent", "retransmitted_percent"])
            }
            "shallow-buffer" => self.by_some_paths("0.2,0,none", &["goodput_percent"]),
            "deep-buffer" => {
                self.by_some_paths("4.0,0,none", &["goodput_percent", "queue_mean_bdp"])
            }
            "equals" => self.equals(),
            "pairs-1-bdp" => self.pairs("1.0"),
            "pairs-4-bdp" => self.pairs("4.0"),
            "round-trips" => self.round_trips(),
            _ => return None,
        })
    }

    /// Rates and round trips, with the usual buffer.
    fn by_path(&self, loss: &str, column: &str) -> String {
        let mut rows = Vec::new();
        for rate in RATES_MBPS {
            for rtt in ROUND_TRIPS_MS {
                let cells = ALGORITHMS.map(|(_, name)| {
                    self.goodput(&format!("{name},{rate},{rtt},1.0,{loss}"), column)
                });
                rows.push((format!("{rate} Mbit/s, {rtt} ms"), cells.to_vec()));
            }
        }
        grid("path", &names(), &rows)
    }

    /// At 100 Mbit/s: losses and round trips.
    fn by_loss(&self, kind: &str) -> String {
        let mut rows = Vec::new();
        for loss in LOSSES_PPM.map(percent) {
            for rtt in ROUND_TRIPS_MS {
                let key = |name: &str| format!("{name},100,{rtt},1.0,{loss},{kind}");
                let cells = ALGORITHMS.map(|(_, name)| self.goodput(&key(name), "goodput_percent"));
                rows.push((format!("{loss} %, {rtt} ms"), cells.to_vec()));
            }
        }
        grid("loss, round trip", &names(), &rows)
    }

    fn by_some_paths(&self, rest: &str, columns: &[&str]) -> String {
        let mut rows = Vec::new();
        for rate in RATES_MBPS {
            for rtt in [10, 100] {
                let cell = |name: &str| {
                    let key = format!("{name},{rate},{rtt},{rest}");
                    let values: Vec<_> =
                        columns.iter().map(|column| self.goodput(&key, column)).collect();
                    values.join(" / ")
                };
                let cells = ALGORITHMS.map(|(_, name)| cell(name));
                rows.push((format!("{rate} Mbit/s, {rtt} ms"), cells.to_vec()));
            }
        }
        grid("path", &names(), &rows)
    }

    fn equals(&self) -> String {
        let mut rows = Vec::new();
        for count in [2, 8] {
            for rtt in [20, 100] {
                let cell = |name: &str| {
                    let key = format!("{count} x {name},100,{rtt},1.0");
                    let of = |column| self.fairness(&key, column);
                    format!("{} / {}", of("jain_index"), of("goodput_percent"))
                };
                let cells = ALGORITHMS.map(|(_, name)| cell(name));
                rows.push((format!("{count} flows, {rtt} ms"), cells.to_vec()));
            }
        }
        grid("flows, round trip", &names(), &rows)
    }

    /// What the row's algorithm has beside the column's, at 20 and at 100 ms.
    fn pairs(&self, buffer: &str) -> String {
        let share = |first: usize, second: usize, rtt: u32| {
            let (a, b) = (ALGORITHMS[first].1, ALGORITHMS[second].1);
            let key = |a, b| format!("{a} + {b},100,{rtt},{buffer}");
            if first < second {
                return self.fairness(&key(a, b), "first_share_percent");
            }
            let others = self.fairness.value(Table::Fairness, &key(b, a), "first_share_percent");
            others.map_or("?".to_string(), |others| format!("{:.1}", 100.0 - others))
        };
        let row = |first: usize| {
            let cell = |second: usize| match first == second {
                true => "–".to_string(),
                false => format!("{} / {}", share(first, second, 20), share(first, second, 100)),
            };
            (ALGORITHMS[first].1.to_string(), (0..ALGORITHMS.len()).map(cell).collect())
        };
        let rows: Vec<_> = (0..ALGORITHMS.len()).map(row).collect();
        grid("share of … beside …", &names(), &rows)
    }

    fn round_trips(&self) -> String {
        let key = |name: &str| format!("{name} 20 ms + {name} 100 ms,100,100,1.0");
        let cells = ALGORITHMS.map(|(_, name)| self.fairness(&key(name), "first_share_percent"));
        grid("", &names(), &[("share of the 20 ms flow".to_string(), cells.to_vec())])
    }

    fn goodput(&self, key: &str, column: &str) -> String {
        text(&self.goodput, Table::Goodput, key, column)
    }

    fn fairness(&self, key: &str, column: &str) -> String {
        text(&self.fairness, Table::Fairness, key, column)
    }
}

const END: &str = "<!-- end -->";

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/goodput.md")
}

fn text(snapshot: &Snapshot, table: Table, key: &str, column: &str) -> String {
    snapshot.text(table, key, column).unwrap_or("?").to_string()
}

fn names() -> Vec<&'static str> {
    ALGORITHMS.map(|(_, name)| name).to_vec()
}

fn grid(corner: &str, columns: &[&str], rows: &[(String, Vec<String>)]) -> String {
    let mut text = format!("| {corner} | {} |\n", columns.join(" | "));
    text += &format!("|---|{}\n", "--:|".repeat(columns.len()));
    for (label, cells) in rows {
        text += &format!("| {label} | {} |\n", cells.join(" | "));
    }
    text
}
