//! What the simulated hosts do with their connections.

use std::collections::VecDeque;

use super::peer::{App, Peer};

/// Does nothing by itself: the test does.
pub fn idle() -> App {
    Box::new(|_| {})
}

/// Sends all of `octets` and finishes; takes whatever comes.
pub fn send(octets: Vec<u8>) -> App {
    let mut octets = Some(octets);
    Box::new(move |peer| {
        if let Some(octets) = octets.take() {
            peer.write(&octets);
            peer.finish();
        }
    })
}

/// Sends `octets`, and finishes when the other side has.
pub fn send_then_wait(octets: Vec<u8>) -> App {
    let mut octets = Some(octets);
    let mut finished = false;
    Box::new(move |peer| {
        if let Some(octets) = octets.take() {
            peer.write(&octets);
        }
        finish_when(peer, peer.peer_finished, &mut finished);
    })
}

/// Answers each `request_len` octets by `response`; finishes when the client has.
pub fn respond(request_len: usize, response: Vec<u8>) -> App {
    let mut answered = 0;
    let mut finished = false;
    Box::new(move |peer| {
        while peer.received.len() >= (answered + 1) * request_len && !finished {
            answered += 1;
            peer.write(&response);
        }
        finish_when(peer, peer.peer_finished, &mut finished);
    })
}

/// Sends requests one after another, each when the response to the one before is complete.
pub fn request(requests: Vec<Vec<u8>>, response_len: usize) -> App {
    let mut requests = VecDeque::from(requests);
    let mut asked = 0;
    let mut finished = false;
    Box::new(move |peer| {
        let complete = peer.received.len() >= asked * response_len;
        if complete && let Some(request) = requests.pop_front() {
            asked += 1;
            peer.write(&request);
        } else {
            finish_when(peer, complete && requests.is_empty(), &mut finished);
        }
    })
}

/// Sends back what comes, and finishes when the client has.
pub fn echo() -> App {
    let mut echoed = 0;
    let mut finished = false;
    Box::new(move |peer| {
        if !finished {
            let fresh = peer.received[echoed..].to_vec();
            echoed += fresh.len();
            peer.write(&fresh);
        }
        finish_when(peer, peer.peer_finished, &mut finished);
    })
}

fn finish_when(peer: &mut Peer, condition: bool, finished: &mut bool) {
    if condition && !*finished {
        *finished = true;
        peer.finish();
    }
}

/// Takes what comes, and only when the other side has finished sends `octets` and finishes.
pub fn send_after_end(octets: Vec<u8>) -> App {
    let mut octets = Some(octets);
    Box::new(move |peer| {
        if peer.peer_finished
            && let Some(octets) = octets.take()
        {
            peer.write(&octets);
            peer.finish();
        }
    })
}
