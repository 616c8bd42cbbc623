//! Connections behind boxes that end them.

use ringroad_simulation::appliance::apps::{idle, respond};
use ringroad_simulation::appliance::peer::Status;
use ringroad_simulation::appliance::rig::{CLIENTS, ORIGINS, ms, origin, pattern, secs};
use ringroad_simulation::internet::middlebox::{Limit, Tells};
use ringroad_simulation::internet::{End, Middlebox};

use crate::networks::{behind, distant, over};
use crate::{Between, STREAM, host};

#[test]
fn whoever_a_box_tells_of_a_reset_believes_it_and_the_rest_follow_when_it_is_healed() {
    let limit = Limit::Octets(STREAM as u64);
    for tells in [Tells::Both, Tells::Only(End::Host), Tells::Only(End::Appliance)] {
        for side in [CLIENTS, ORIGINS] {
            let mut networks = [over(distant()), over(distant())];
            networks[side] = behind(Middlebox::ResetAfter { limit, tells });
            let mut between = Between::new(1, networks);
            between.transfer(host(), host());
            between.world.run_for(secs(5));
            // What reaches the appliance crosses it to the other side.
            let host_told = tells != Tells::Only(End::Appliance);
            let appliance_told = tells != Tells::Only(End::Host);
            assert_eq!(between.statuses(side), [after(host_told); 3], "{tells:?} on {side}");
            assert_eq!(between.statuses(1 - side), [after(appliance_told); 3], "{tells:?}");
            between.heal();
            between.world.run_to_the_end(secs(400));
            assert_eq!(between.statuses(CLIENTS), [Status::Reset; 3]);
            assert_eq!(between.statuses(ORIGINS), [Status::Reset; 3]);
            between.world.finish();
        }
    }
}

#[test]
fn a_connection_that_a_nat_has_forgotten_goes_on_when_it_is_healed() {
    for side in [CLIENTS, ORIGINS] {
        let mut networks = [over(distant()), over(distant())];
        networks[side] = behind(Middlebox::ForgetIdle { after: secs(2) });
        let mut between = Between::new(1, networks);
        let world = &mut between.world;
        world.listen(origin(1), host(), || respond(1000, pattern(2, 5000)));
        let client = world.client(1, host(), idle());
        let ask = |between: &mut Between, nth: u64| {
            between.world.peer(client).write(&pattern(nth, 1000));
            between.world.run_for(ms(1900));
            between.world.peer(client).received.len()
        };
        // Not idle for long enough.
        assert_eq!((1..=5).map(|nth| ask(&mut between, nth)).last(), Some(25_000));
        between.world.run_for(secs(3));
        assert_eq!(ask(&mut between, 6), 25_000, "forgotten on side {side}");
        assert_eq!(between.world.peer(client).status, Status::Open, "and nobody knows");
        between.heal();
        between.world.run_for(secs(30));
        assert_eq!(between.world.peer(client).received.len(), 30_000);
        between.world.peer(client).finish();
        between.world.run_to_the_end(secs(30));
        assert_eq!(between.statuses(ORIGINS), [Status::Finished]);
        between.world.finish();
    }
}

/// What a host is that was told of a reset, or not.
fn after(told: bool) -> Status {
    if told { Status::Reset } else { Status::Open }
}

impl Between {
    fn statuses(&self, side: usize) -> Vec<Status> {
        self.world.hosts.0[side].peers.values().map(|peer| peer.status).collect()
    }
}
