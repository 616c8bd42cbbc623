//! Why a connection refuses a segment.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a segment was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason { $($(#[$doc])* $variant,)+ }

        impl DropReason {
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)+];
            pub const COUNT: usize = DropReason::ALL.len();

            /// As in the ledger.
            pub const fn as_str(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// The connection is CLOSED.
    Closed = "tcp_closed",
    /// Nothing of it lies within the window that we have offered.
    OutsideWindow = "tcp_outside_window",
    /// All of its payload had arrived before.
    Duplicate = "tcp_duplicate",
    /// Its timestamp is older than what has arrived (RFC 7323 §5).
    OldTimestamp = "tcp_old_timestamp",
    /// It acknowledges what was not sent, or what was acknowledged too long ago (RFC 5961 §5).
    BadAcknowledgment = "tcp_bad_acknowledgment",
    /// It has no ACK, which every segment of a synchronized connection has.
    NoAcknowledgment = "tcp_no_acknowledgment",
    /// A RST that may be forged: within the window, but not at its start (RFC 5961 §3).
    SuspectReset = "tcp_suspect_reset",
    /// A SYN within a synchronized connection (RFC 5961 §4).
    SuspectSyn = "tcp_suspect_syn",
    /// The receive queue holds as many frames as it may.
    QueueFull = "tcp_queue_full",
    /// What frames are free are needed to receive into: no more may be held.
    FramesScarce = "tcp_frames_scarce",
}
