//! Requirements of RFC 6298 that no other script happens to hold. `docs/tcp` has all of them.

use super::host::*;
use crate::limits::RTO_MIN;

/// §5.2, §5.3.
#[test]
fn the_timer_starts_anew_with_each_acknowledgment_and_stops_with_the_last() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(1000, 1000));
    host.sent();
    // Round trips have been 10 ms: the timeout is as short as it gets.
    let shortest = RTO_MIN + ms(10);
    assert_eq!(host.waits(shortest - ms(5)).len(), 0);
    host.gets(seg(1, 1001));
    assert_eq!(host.waits(shortest - ms(5)).len(), 0, "anew from that ACK on");
    host.gets(seg(1, 2001));
    assert_eq!(host.waits(ms(3_600_000)).len(), 0, "nothing is left to wait for");
}
