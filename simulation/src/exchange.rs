//! What a connection of a simulation carries: octets that tell whose they are and where they belong.
//!
//! A client's request begins with a [`Script`]: which connection this is, and how long request and
//! response are. The rest is a pattern by connection, direction and position; so an origin knows
//! from what it receives what to answer, and whoever looks at what arrived sees at which octet a
//! stream was cut, doubled, moved or mixed with another.

/// One exchange: a request, and the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// Which connection.
    pub number: u32,
    /// Lengths, the request's with [`Script::HEADER`] [octets].
    pub request: u32,
    pub response: u32,
}

/// A stream is not what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Of the first octet that differs, or that is too many [octets].
    pub at: usize,
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request = 0,
    Response = 1,
}

impl Script {
    /// What a request begins with [octets].
    pub const HEADER: u32 = 12;

    /// All of the request.
    pub fn request_octets(&self) -> Vec<u8> {
        let header = [self.number, self.request, self.response].map(u32::to_be_bytes);
        let mut octets = header.concat();
        octets.extend((Self::HEADER..self.request).map(|at| self.octet(Direction::Request, at)));
        octets
    }

    /// A part of the response, so that it need not be written at once.
    pub fn response_octets(&self, part: std::ops::Range<u32>) -> Vec<u8> {
        part.map(|at| self.octet(Direction::Response, at)).collect()
    }

    /// What a request that has begun to arrive says of itself; `None` before it does.
    pub fn read(received: &[u8]) -> Option<Script> {
        let word = |at: usize| Some(u32::from_be_bytes(*received.get(at..)?.first_chunk()?));
        Some(Script { number: word(0)?, request: word(4)?, response: word(8)? })
    }

    /// Whether this is how the request begins.
    pub fn check_request(&self, received: &[u8]) -> Result<(), Damage> {
        compare(received, &self.request_octets())
    }

    /// Whether this is how the response begins.
    pub fn check_response(&self, received: &[u8]) -> Result<(), Damage> {
        compare(received, &self.response_octets(0..self.response))
    }

    fn octet(&self, direction: Direction, at: u32) -> u8 {
        // Every eight octets are a word of their own, mixed from what they belong to.
        let of = u64::from(self.number) << 1 | direction as u64;
        let mut word = (of << 30 ^ u64::from(at / 8)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word ^= word >> 32;
        word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
        word.to_be_bytes()[(at % 8) as usize]
    }
}

fn compare(received: &[u8], sent: &[u8]) -> Result<(), Damage> {
    let known = received.len().min(sent.len());
    let damage = |at, what: String| Err(Damage { at, what });
    if let Some(at) = (0..known).find(|at| received[*at] != sent[*at]) {
        return damage(at, format!("{:#04x} where {:#04x} was sent", received[at], sent[at]));
    }
    if received.len() > sent.len() {
        return damage(known, format!("{} octets more than were sent", received.len() - known));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script { number: 7, request: 100, response: 5000 };

    #[test]
    fn a_request_says_what_it_is_as_soon_as_its_header_is_there() {
        let octets = SCRIPT.request_octets();
        assert_eq!(octets.len(), 100);
        assert_eq!(Script::read(&octets[..11]), None);
        assert_eq!(Script::read(&octets[..12]), Some(SCRIPT));
        assert_eq!(SCRIPT.check_request(&octets[..50]), Ok(()));
    }

    #[test]
    fn damage_is_found_where_it_is() {
        let sent = SCRIPT.response_octets(0..5000);
        let mut moved = sent.clone();
        moved.drain(1448..2896);
        assert!((1448..1460).contains(&SCRIPT.check_response(&moved).unwrap_err().at));
        let mut longer = sent.clone();
        longer.push(0);
        assert_eq!(SCRIPT.check_response(&longer).unwrap_err().at, 5000);
        let other = Script { number: 8, ..SCRIPT };
        assert!(other.check_response(&sent).unwrap_err().at < 4);
        assert!(other.check_request(&SCRIPT.request_octets()).is_err());
    }
}
