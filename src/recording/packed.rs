//! Histograms as HdrHistogram writes them (V2, deflated), kept so: unpacked, one takes a quarter of a
//! megabyte, and an hour has tens of thousands.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

/// Histograms by the names of their measures; none where nothing was recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedHistograms(BTreeMap<&'static str, Packed>);

impl PackedHistograms {
    /// Unpacks that of a measure.
    pub(crate) fn get(&self, measure: &str) -> Option<Histogram<u64>> {
        self.0.get(measure).map(Packed::unpack)
    }

    /// The measures of which something was recorded.
    #[allow(dead_code, reason = "for `ringroad report` and `ringroad plan`, which are to come")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(super) fn insert(&mut self, measure: &'static str, histogram: Packed) {
        self.0.insert(measure, histogram);
    }
}

impl FromIterator<(&'static str, Histogram<u64>)> for PackedHistograms {
    fn from_iter<I: IntoIterator<Item = (&'static str, Histogram<u64>)>>(histograms: I) -> Self {
        let packed = histograms.into_iter().map(|(name, histogram)| (name, Packed::of(&histogram)));
        PackedHistograms(packed.collect())
    }
}

/// One of them, known to unpack.
#[derive(Clone, Debug)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    fn of(histogram: &Histogram<u64>) -> Self {
        let mut octets = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut octets)
            .expect("counts that were recorded one by one fit 63 bits, and a vector takes all");
        Packed(octets.into())
    }

    /// That in a line of a log, if it is one with the bounds of `like`.
    pub(super) fn from_base64(text: &str, like: &Histogram<u64>) -> Result<Self> {
        let octets = STANDARD.decode(text).context("the histogram is not base64")?;
        unpack(&octets, like)?;
        Ok(Packed(octets.into()))
    }

    fn unpack(&self) -> Histogram<u64> {
        Deserializer::new().deserialize(&mut &self.0[..]).expect("it was unpacked before")
    }
}

/// The histogram in `octets`. No length in them is believed: what does not have the bounds of `like` is
/// refused before memory is taken for it.
pub(crate) fn unpack(octets: &[u8], like: &Histogram<u64>) -> Result<Histogram<u64>> {
    let deflated = octets.get(DEFLATED_AT..).context("the histogram is cut off")?;
    // A count and its place take nine octets at most.
    let most = (HEADER_LEN + 9 * like.distinct_values()) as u64;
    let mut inflated = Vec::new();
    (ZlibDecoder::new(deflated).take(most + 1).read_to_end(&mut inflated))
        .context("the histogram cannot be inflated")?;
    let header = inflated.first_chunk::<HEADER_LEN>().context("the histogram is cut off")?;
    let [digits, low, high] = bounds(header);
    let ours = [u64::from(like.sigfig()), like.low(), like.high()];
    if [digits, low, high] != ours {
        bail!(
            "the histogram goes from {low} to {high} with {digits} digits, ours from {} to {} with {}; \
             it is not ringroad's, or another version's",
            ours[1],
            ours[2],
            ours[0]
        );
    }
    let counts = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if counts as usize != inflated.len() - HEADER_LEN {
        bail!("the histogram is shorter or longer than it says");
    }
    Deserializer::new().deserialize(&mut &inflated[..]).context("the histogram makes no sense")
}

/// Significant digits, lowest and highest value.
fn bounds(header: &[u8; HEADER_LEN]) -> [u64; 3] {
    let number = |at: usize, len: usize| {
        header[at..at + len].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
    };
    [number(12, 4), number(16, 8), number(24, 8)]
}

/// Where the deflated part begins, behind a cookie and its length [octets].
const DEFLATED_AT: usize = 8;

/// In the deflated part: cookie, length of the counts, offset, digits (4 octets each), lowest and highest
/// value and a ratio (8 each) [octets].
const HEADER_LEN: usize = 40;
