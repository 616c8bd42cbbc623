use super::*;

fn settings() -> HostSettings {
    HostSettings { leg: LegSettings::default(), frames: frames_for(1 << 20), flow: 0 }
}

/// A source with its sink, both synchronized, and the first segments with payload.
fn opened() -> (Host, Host, Vec<Segment>) {
    let now = Instant::from_millis(1);
    let mut source = Host::source(&settings(), SeqNum(u32::MAX - 5000), now);
    let mut sent = Vec::new();
    source.progress(now, |segment| sent.push(segment));
    let mut sink = Host::sink(&settings(), &sent.remove(0), SeqNum(7), now);
    let mut answers = Vec::new();
    sink.progress(now, |segment| answers.push(segment));
    source.on_segment(now, &answers.remove(0), |segment| sent.push(segment));
    assert!(sent.len() >= 10, "an initial window: {}", sent.len());
    (source, sink, sent)
}

#[test]
fn a_sink_takes_what_its_source_writes() {
    let (source, mut sink, sent) = opened();
    let now = Instant::from_millis(2);
    sent.iter().for_each(|segment| sink.on_segment(now, segment, |_| {}));
    let carried: u64 = sent.iter().map(|segment| u64::from(segment.payload_len)).sum();
    assert_eq!(sink.octets(), carried);
    assert!(sent.iter().any(|segment| segment.octets() == PACKET), "full segments");
    source.end(now);
    sink.end(now);
}

#[test]
#[should_panic(expected = "the stream is out of order")]
fn an_octet_out_of_place_is_noticed() {
    let (_source, mut sink, mut sent) = opened();
    let victim = sent.iter_mut().filter(|segment| segment.payload_len > 0).nth(3);
    victim.expect("a segment with payload").stamp[7] ^= 1;
    sent.iter().for_each(|segment| sink.on_segment(Instant::from_millis(2), segment, |_| {}));
}

#[test]
#[should_panic(expected = "frames that are in no queue")]
fn a_frame_that_is_lost_is_noticed() {
    let (_source, mut sink, _) = opened();
    std::mem::forget(sink.pool.alloc());
    sink.end(Instant::from_millis(2));
}
