//! Fast Open (RFC 7413) where something is on the way.

use ringroad_simulation::appliance::apps::{request, respond};
use ringroad_simulation::appliance::peer::{Settings, Status};
use ringroad_simulation::appliance::rig::{CLIENTS, Key, ms, origin, pattern, secs};
use ringroad_simulation::internet::middlebox::Stripped;
use ringroad_simulation::internet::{End, Middlebox, NetworkSettings, PathSettings, Reordering};

use crate::networks::{behind, distant, over};
use crate::{Between, host};

const REQUEST: usize = 300;
const RESPONSE: usize = 700;

#[test]
fn a_request_that_comes_with_the_syn_is_answered_whatever_is_on_the_way() {
    let strip = Stripped { fast_open: true, ..Stripped::default() };
    let late = Reordering { ppm: 500_000, late_by: ms(50) };
    let of_hosts = Middlebox::RewriteSequence { of: End::Host, forgets_sack: false };
    let of_appliance = Middlebox::RewriteSequence { of: End::Appliance, forgets_sack: false };
    let cases = [
        (over(distant()), REQUEST),
        (behind(of_hosts), REQUEST),
        (behind(of_appliance), REQUEST),
        (behind(Middlebox::SplitSegments { octets: 100 }), REQUEST),
        (behind(Middlebox::StripPayloadOfSyn), 0),
        (behind(Middlebox::StripOptions(strip)), 0),
        (over(PathSettings { duplicate_ppm: 1_000_000, ..distant() }), REQUEST),
        (over(PathSettings { duplicate_ppm: 1_000_000, reordering: late, ..distant() }), REQUEST),
    ];
    for (network, early) in cases {
        let mut between = Between::new(1, [over(distant()), NetworkSettings::default()]);
        between.world.listen(origin(1), host(), || respond(REQUEST, pattern(2, RESPONSE)));
        let asking = between.ask(1, Some(None));
        let cookie = between.world.peer(asking).cookie.expect("a cookie for who asks");
        between.move_host(CLIENTS, asking.0.ip(), network.clone());
        let bringing = between.ask(2, Some(Some(cookie)));
        assert_eq!(between.world.peer(bringing).early, early as u64, "{network:?}");
        between.world.finish();
    }
}

impl Between {
    /// A client that sends a request and has its answer.
    fn ask(&mut self, number: u16, fast_open: Option<Option<[u8; 8]>>) -> Key {
        let settings = Settings { fast_open, ..host() };
        let app = request(vec![pattern(1, REQUEST)], RESPONSE);
        let client = self.world.client(number, settings, app);
        self.world.run_to_the_end(secs(60));
        let peer = self.world.peer(client);
        assert_eq!(peer.status, Status::Finished);
        assert!(peer.received == pattern(2, RESPONSE));
        assert!(self.world.origin_peers().iter().all(|o| o.received == pattern(1, REQUEST)));
        client
    }
}
