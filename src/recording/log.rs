//! The interval log as HdrHistogram's tools expect it: a header, and a line for each measure of each
//! interval, tagged with the measure's name.

use std::io::{self, LineWriter, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use ringroad_engine::telemetry::{Measure, Unit};

/// What a [`Log`] is written through. `W` is written to in whole lines, by two writers in turn: so it
/// is a reference.
pub(crate) struct LogBuffers<W: Write> {
    times: LineWriter<W>,
    packets: LineWriter<W>,
    deflate: [V2DeflateSerializer; 2],
}

/// Writes intervals. Of times it gives the greatest in milliseconds beside the histogram, of packets
/// their number: HdrHistogram divides all that one writer writes by the same.
pub(crate) struct Log<'b, W: Write> {
    times: IntervalLogWriter<'b, 'b, LineWriter<W>, V2DeflateSerializer>,
    packets: IntervalLogWriter<'b, 'b, LineWriter<W>, V2DeflateSerializer>,
    base: SystemTime,
}

impl<W: Write + Copy> LogBuffers<W> {
    pub(crate) fn new(to: W) -> Self {
        LogBuffers {
            times: LineWriter::with_capacity(LINE_USUAL, to),
            packets: LineWriter::with_capacity(LINE_USUAL, to),
            deflate: [V2DeflateSerializer::new(), V2DeflateSerializer::new()],
        }
    }

    /// Writes the header. Times in the log count from `base`, which has whole milliseconds.
    pub(crate) fn begin(&mut self, base: SystemTime) -> io::Result<Log<'_, W>> {
        let [deflate_times, deflate_packets] = &mut self.deflate;
        let times = IntervalLogWriterBuilder::new()
            .add_comment(FORMAT)
            .add_comment(UNITS)
            .with_start_time(base)
            .with_base_time(base)
            .with_max_value_divisor(NANOSECONDS_PER_MILLISECOND)
            .begin_log_with(&mut self.times, deflate_times)?;
        self.packets.write_all(LEGEND)?;
        let packets =
            IntervalLogWriterBuilder::new().begin_log_with(&mut self.packets, deflate_packets)?;
        Ok(Log { times, packets, base })
    }
}

impl<W: Write> Log<'_, W> {
    /// Writes what was recorded of `measure` between two times of whole milliseconds.
    pub(crate) fn write(
        &mut self,
        began: SystemTime,
        ended: SystemTime,
        measure: Measure,
        histogram: &Histogram<u64>,
    ) -> io::Result<()> {
        let since = |earlier, later: SystemTime| -> Duration {
            later.duration_since(earlier).unwrap_or_default()
        };
        let writer = match measure.unit() {
            Unit::Nanoseconds => &mut self.times,
            Unit::Packets => &mut self.packets,
        };
        let tag = Tag::new(measure.name());
        writer
            .write_histogram(histogram, since(self.base, began), since(began, ended), tag)
            .map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
            })
    }
}

/// The first line of every log, behind its `#`.
pub(super) const FORMAT: &str = "[Histogram log format version 1.3]";

const UNITS: &str = "[ringroad: histograms of times in nanoseconds, Interval_Max in milliseconds; \
                     those tagged burst and ring_depth in packets, and so their Interval_Max]";

const LEGEND: &[u8] =
    b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

/// Most lines are shorter [octets].
const LINE_USUAL: usize = 16 << 10;
