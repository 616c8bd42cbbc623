//! Tables as files: rows that are found by their key, written whole and compared row by row.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io, thread};

use crate::goodput::matrix::{Experiment, Table};

/// The rows of one table.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    rows: HashMap<String, String>,
}

impl Table {
    /// Where its rows are kept.
    pub fn path(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(match self {
            Table::Goodput => "goodput.csv",
            Table::Fairness => "fairness.csv",
        })
    }
}

impl Snapshot {
    /// Reads what is kept of a table; nothing, if there is no file yet.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(table: Table) -> io::Result<Snapshot> {
        match fs::read_to_string(table.path()) {
            Ok(text) => Ok(Snapshot::parse(table, &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Snapshot::default()),
            Err(error) => Err(error),
        }
    }

    fn parse(table: Table, text: &str) -> Snapshot {
        let row = |line: &str| (key_of(table, line), line.to_string());
        Snapshot { rows: text.lines().skip(1).map(row).collect() }
    }

    /// The row of an experiment.
    pub fn row(&self, key: &str) -> Option<&str> {
        self.rows.get(key).map(String::as_str)
    }

    /// Puts a row in place of the one with the same key.
    pub fn put(&mut self, table: Table, row: String) {
        self.rows.insert(key_of(table, &row), row);
    }

    /// Writes the rows of `experiments`, in their order. Rows of others are dropped.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, table: Table, experiments: &[Experiment]) -> io::Result<()> {
        let mut text = format!("{}\n", table.columns());
        let of_table = experiments.iter().filter(|experiment| experiment.table == table);
        for row in of_table.filter_map(|experiment| self.row(&experiment.key)) {
            text += row;
            text.push('\n');
        }
        fs::write(table.path(), text)
    }

    /// The value of a column in an experiment's row, as it is written.
    pub fn text(&self, table: Table, key: &str, column: &str) -> Option<&str> {
        let index = table.columns().split(',').position(|name| name == column)?;
        self.row(key)?.split(',').nth(index)
    }

    /// The same as a number.
    pub fn value(&self, table: Table, key: &str, column: &str) -> Option<f64> {
        self.text(table, key, column)?.parse().ok()
    }
}

fn key_of(table: Table, row: &str) -> String {
    row.split(',').take(table.key_columns()).collect::<Vec<_>>().join(",")
}

/// Runs experiments on `jobs` threads, the longest first, and hands each row to `done` as it comes.
pub fn run_all(
    experiments: &[Experiment],
    jobs: usize,
    done: impl FnMut(&Experiment, String) + Send,
) {
    let mut order: Vec<&Experiment> = experiments.iter().collect();
    order.sort_by_key(|experiment| std::cmp::Reverse(experiment.cost()));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(done));
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(experiment) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = experiment.row(&experiment.scenario.run());
                    if let Ok(mut done) = done.lock() {
                        done(experiment, row);
                    }
                }
            });
        }
    });
}
