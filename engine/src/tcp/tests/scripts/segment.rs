//! A segment as scripts write it: `P. 1:1001(1000) ack 1 win 512 <sack 2001:3001>`.

use std::fmt::{self, Display, Formatter};

use super::text::{Cursor, Fault};
use crate::tcp::tests::host::Sent;
use crate::wire::ip::Ecn;
use crate::wire::tcp::{FastOpen, Flags, SackBlock, SackBlocks, SeqNum, TcpOptions, Timestamps};

/// A segment with relative numbers: that of the SYN is 0, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The ECN field of the IP header.
    pub(super) mark: Option<Ecn>,
    pub(super) flags: Flags,
    pub(super) seq: u32,
    /// Payload [octets].
    pub(super) len: u32,
    /// With [`Flags::ACK`].
    pub(super) ack: Option<u32>,
    pub(super) window: Option<u16>,
    pub(super) options: Options,
}

/// What stands in scripts for the cookie that we give to their client (RFC 7413), and for one that
/// we did not give.
pub(super) const COOKIE: FastOpen = FastOpen::Cookie(*b"a cookie");
const OTHER_COOKIE: FastOpen = FastOpen::Cookie(*b"another!");

/// What a script says of a segment's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Options {
    /// Nothing was said: none, timestamps apart.
    Unsaid,
    /// `<...>`: whatever there is.
    Any,
    Listed(TcpOptions),
}

impl Options {
    pub(super) fn listed(&self) -> TcpOptions {
        match self {
            Options::Listed(options) => *options,
            Options::Unsaid | Options::Any => TcpOptions::default(),
        }
    }
}

const FLAGS: [(char, Flags); 8] = [
    ('S', Flags::SYN),
    ('F', Flags::FIN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('U', Flags::URG),
    ('E', Flags::ECE),
    ('W', Flags::CWR),
    ('.', Flags::ACK),
];

const MARKS: [(&str, Ecn); 4] = [
    ("[noecn]", Ecn::NotCapable),
    ("[ect0]", Ecn::Capable0),
    ("[ect1]", Ecn::Capable1),
    ("[ce]", Ecn::CongestionExperienced),
];

impl Segment {
    /// Reads what stands behind `<` or `>`.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Segment, Fault> {
        let mark = MARKS.iter().find(|(name, _)| cursor.takes(name)).map(|(_, mark)| *mark);
        // Faults point at what is wrong, not at the space before it.
        cursor.skip_space();
        let before = *cursor;
        let mut flags = Flags::default();
        for name in cursor.run(|c| !c.is_whitespace()).chars() {
            match FLAGS.iter().find(|(known, _)| *known == name) {
                Some((_, flag)) => flags = flags.with(*flag),
                None => return before.fault(format!("`{name}` is not among the flags SFRPUEW.")),
            }
        }
        cursor.skip_space();
        let before = *cursor;
        let seq = cursor.circular("the sequence number")?;
        cursor.expect(":")?;
        let end = cursor.circular("the number behind the payload")?;
        cursor.expect("(")?;
        let len: u16 = cursor.number("the length of the payload")?;
        let len = u32::from(len);
        cursor.expect(")")?;
        if end.wrapping_sub(seq) != len {
            return before.fault(format!("{seq}:{end} are not {len} octets"));
        }
        cursor.skip_space();
        let before = *cursor;
        let ack = match cursor.takes_word("ack") {
            true => Some(cursor.circular("the acknowledgment")?),
            false => None,
        };
        if ack.is_some() != flags.contains(Flags::ACK) {
            return before.fault("`ack` goes with the flag `.`, and the flag with `ack`");
        }
        let window = match cursor.takes_word("win") {
            true => Some(cursor.number("the window field")?),
            false => None,
        };
        let options = match cursor.rest().trim_start().starts_with('<') {
            true => Segment::read_list(cursor)?,
            false => Options::Unsaid,
        };
        Ok(Segment { mark, flags, seq, len, ack, window, options })
    }

    /// Reads a list of options, `<mss 1000,sackOK>`.
    pub(super) fn read_list(cursor: &mut Cursor<'_>) -> Result<Options, Fault> {
        cursor.expect("<")?;
        read_options(cursor)
    }

    /// A segment that was sent or arrived; numbers are relative to these two.
    pub(super) fn of(sent: &Sent, isn: SeqNum, other_isn: SeqNum) -> Segment {
        let Sent { header, payload, ecn, .. } = sent;
        let len = payload.len() as u32;
        let ack = header.flags.contains(Flags::ACK).then(|| header.acknowledgment - other_isn);
        let mut options = header.options;
        for block in &mut options.sack.blocks[..usize::from(options.sack.len)] {
            *block = SackBlock {
                left: SeqNum(block.left - other_isn),
                right: SeqNum(block.right - other_isn),
            };
        }
        Segment {
            mark: Some(*ecn),
            flags: header.flags,
            seq: header.sequence - isn,
            len,
            ack,
            window: Some(header.window),
            options: Options::Listed(options),
        }
    }

    /// How `came` differs from this, as far as this says what it should be.
    pub(super) fn difference(&self, came: &Segment) -> Option<&'static str> {
        let there = came.options.listed();
        let options_differ = match &self.options {
            Options::Any => false,
            // Timestamps that are in force are on every segment; only where they matter a script
            // says so. Whether they are in force, the SYNs say.
            Options::Unsaid if self.flags.contains(Flags::SYN) => there != TcpOptions::default(),
            Options::Unsaid => TcpOptions { timestamps: None, ..there } != TcpOptions::default(),
            Options::Listed(expected) => {
                let overlooked = expected.timestamps.is_none() && !self.flags.contains(Flags::SYN);
                let timestamps = if overlooked { None } else { there.timestamps };
                TcpOptions { timestamps, ..there } != *expected
            }
        };
        [
            (self.flags != came.flags, "flags"),
            (self.seq != came.seq, "sequence number"),
            (self.len != came.len, "length"),
            (self.ack != came.ack, "acknowledgment"),
            (self.window.is_some_and(|window| Some(window) != came.window), "window"),
            (options_differ, "options"),
            (self.mark.is_some_and(|mark| Some(mark) != came.mark), "ECN mark"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

fn read_options(cursor: &mut Cursor<'_>) -> Result<Options, Fault> {
    if cursor.takes("...") {
        cursor.expect(">")?;
        return Ok(Options::Any);
    }
    let mut options = TcpOptions::default();
    while !cursor.takes(">") {
        let before = *cursor;
        match cursor.word() {
            // Padding is the writer's business.
            "nop" | "eol" => {}
            "mss" => options.mss = Some(cursor.number("the MSS")?),
            "wscale" => options.window_scale = Some(cursor.number("the shift")?),
            "sackOK" => options.sack_permitted = true,
            "TS" => {
                cursor.expect("val")?;
                let value = cursor.number("the timestamp")?;
                cursor.expect("ecr")?;
                let echo_reply = cursor.number("the timestamp's echo")?;
                options.timestamps = Some(Timestamps { value, echo_reply });
            }
            "sack" => options.sack = read_blocks(cursor)?,
            "FO" if cursor.takes_word("cookie") => options.fast_open = Some(COOKIE),
            "FO" if cursor.takes_word("other") => options.fast_open = Some(OTHER_COOKIE),
            "FO" => options.fast_open = Some(FastOpen::Wanted),
            "" => return before.fault("an option is missing here"),
            other => return before.fault(format!("no option is called `{other}`")),
        }
        cursor.takes(",");
    }
    Ok(Options::Listed(options))
}

fn read_blocks(cursor: &mut Cursor<'_>) -> Result<SackBlocks, Fault> {
    let mut blocks = SackBlocks::default();
    while cursor.rest().trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let left = SeqNum(cursor.circular("where a block begins")?);
        cursor.expect(":")?;
        let right = SeqNum(cursor.circular("where a block ends")?);
        blocks.push(SackBlock { left, right });
    }
    match blocks.len {
        0 => cursor.fault("a block `LEFT:RIGHT` is missing here"),
        _ => Ok(blocks),
    }
}

/// A number of the circle as the nearer of its two readings.
fn near(number: u32) -> i64 {
    // What scripts count goes far beyond what lies before a SYN.
    if number > u32::MAX - (1 << 24) { i64::from(number as i32) } else { i64::from(number) }
}

impl Display for Segment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // That a packet is not capable of ECN is the rule, and not worth a word.
        let mark = self.mark.filter(|mark| *mark != Ecn::NotCapable);
        if let Some((name, _)) = MARKS.iter().find(|(_, known)| Some(*known) == mark) {
            write!(f, "{name} ")?;
        }
        for (name, flag) in FLAGS {
            if self.flags.contains(flag) {
                write!(f, "{name}")?;
            }
        }
        let end = self.seq.wrapping_add(self.len);
        write!(f, " {}:{}({})", near(self.seq), near(end), self.len)?;
        if let Some(ack) = self.ack {
            write!(f, " ack {}", near(ack))?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        let options = match &self.options {
            Options::Unsaid => return Ok(()),
            Options::Any => return write!(f, " <...>"),
            Options::Listed(options) => options,
        };
        let mut list = Vec::new();
        list.extend(options.mss.map(|mss| format!("mss {mss}")));
        list.extend(options.sack_permitted.then(|| "sackOK".to_string()));
        list.extend(
            options.timestamps.map(|ts| format!("TS val {} ecr {}", ts.value, ts.echo_reply)),
        );
        list.extend(options.window_scale.map(|shift| format!("wscale {shift}")));
        list.extend(options.fast_open.map(|fast_open| match fast_open {
            FastOpen::Wanted => "FO".to_string(),
            COOKIE => "FO cookie".to_string(),
            FastOpen::Cookie(_) => "FO other".to_string(),
        }));
        if options.sack.len > 0 {
            let blocks = options.sack.iter();
            let blocks = blocks.map(|b| format!(" {}:{}", near(b.left.0), near(b.right.0)));
            list.push(format!("sack{}", blocks.collect::<String>()));
        }
        if !list.is_empty() {
            write!(f, " <{}>", list.join(","))?;
        }
        Ok(())
    }
}
