//! The states of RFC 9293 §3.3.2 and the table of what leads from one to the next.

/// A state of a connection. LISTEN is not among them: a listener is not a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    Closed,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// What moves a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A SYN without ACK, while ours is on its way: simultaneous open.
    SynArrived,
    /// A SYN that acknowledges ours.
    SynAckArrived,
    /// Our SYN was acknowledged.
    SynAcknowledged,
    /// Our FIN was sent for the first time.
    FinSent,
    /// The peer's FIN, and everything before it, arrived.
    FinArrived,
    /// Our FIN was acknowledged.
    FinAcknowledged,
    /// Twice the maximum segment lifetime has passed in TIME-WAIT.
    TimeWaitOver,
    /// A reset from either side, a time-out, or an abort.
    Ended,
}

/// Why a connection is CLOSED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both sides have sent FIN and had it acknowledged.
    Finished,
    /// The peer sent RST.
    ResetByPeer,
    /// The peer answered our SYN with RST.
    Refused,
    /// The peer fell silent: handshake, retransmissions, probes or keepalives went unanswered.
    TimedOut,
    /// We gave it up.
    Aborted,
}

impl State {
    pub const ALL: [State; 10] = [
        State::Closed,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// As operators see it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::SynSent => "syn_sent",
            State::SynReceived => "syn_received",
            State::Established => "established",
            State::FinWait1 => "fin_wait_1",
            State::FinWait2 => "fin_wait_2",
            State::CloseWait => "close_wait",
            State::Closing => "closing",
            State::LastAck => "last_ack",
            State::TimeWait => "time_wait",
        }
    }

    /// The state that follows, or `None` where `event` cannot happen (RFC 9293 §3.3.2, figure 5).
    pub const fn after(self, event: Event) -> Option<State> {
        Some(match (self, event) {
            (State::Closed, _) => return None,
            (_, Event::Ended) => State::Closed,
            (State::SynSent, Event::SynArrived) => State::SynReceived,
            (State::SynSent, Event::SynAckArrived) => State::Established,
            (State::SynReceived, Event::SynAcknowledged) => State::Established,
            (State::Established, Event::FinSent) => State::FinWait1,
            (State::Established, Event::FinArrived) => State::CloseWait,
            (State::FinWait1, Event::FinArrived) => State::Closing,
            (State::FinWait1, Event::FinAcknowledged) => State::FinWait2,
            (State::FinWait2, Event::FinArrived) => State::TimeWait,
            (State::CloseWait, Event::FinSent) => State::LastAck,
            (State::Closing, Event::FinAcknowledged) => State::TimeWait,
            (State::LastAck, Event::FinAcknowledged) => State::Closed,
            (State::TimeWait, Event::TimeWaitOver) => State::Closed,
            _ => return None,
        })
    }

    /// Whether both sides know each other's initial sequence number.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::SynSent | State::SynReceived)
    }

    /// Whether payload, or a FIN behind it, may still be sent or sent again.
    pub const fn can_send(self) -> bool {
        matches!(
            self,
            State::Established
                | State::CloseWait
                | State::FinWait1
                | State::Closing
                | State::LastAck
        )
    }

    /// Whether payload from the peer is still taken.
    pub const fn can_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Whether the caller may still queue payload: it has not finished.
    pub const fn takes_payload(self) -> bool {
        matches!(self, State::SynSent | State::SynReceived | State::Established | State::CloseWait)
    }

    /// Whether the peer's FIN has arrived, and everything before it.
    pub const fn peer_finished(self) -> bool {
        matches!(self, State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
    }
}
