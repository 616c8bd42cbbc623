use anyhow::anyhow;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::*;
use crate::top::made::Made;

fn watch() -> Watch {
    let (intervals, _) = mpsc::channel();
    Watch::new(Path::new("/run/ringroad.sock"), Duration::from_secs(1), intervals)
}

fn hear(watch: &mut Watch, engine: Made, seconds: u64) {
    watch.take(Ok(Box::new(engine.sample(seconds))));
}

#[test]
fn two_samples_make_a_screen() {
    let (mut watch, engine) = (watch(), Made::new());
    hear(&mut watch, engine, 10);
    assert_eq!(watch.screen, None);
    hear(&mut watch, engine, 11);
    assert_eq!(watch.screen.as_ref().map(|screen| screen.up_s), Some(11));
    assert_eq!(watch.history.bits(10).len(), 1);
}

#[test]
fn the_last_screen_stays_until_there_is_another() {
    let (mut watch, engine) = (watch(), Made::new());
    (10..12).for_each(|seconds| hear(&mut watch, engine, seconds));
    watch.take(Err(anyhow!("no engine answers")));
    let next = engine.restarted_after(20);
    for _ in 0..2 {
        assert_eq!(watch.trouble.as_deref(), Some("no engine answers"));
        assert_eq!(watch.screen.as_ref().map(|screen| screen.up_s), Some(11));
        hear(&mut watch, next, 1);
    }
    hear(&mut watch, next, 2);
    assert_eq!((watch.trouble.as_deref(), watch.screen.unwrap().up_s), (None, 2));
}

#[test]
fn a_restart_that_nobody_saw_begins_anew() {
    let (mut watch, engine) = (watch(), Made::new());
    (10..12).for_each(|seconds| hear(&mut watch, engine, seconds));
    let next = engine.restarted_after(11);
    hear(&mut watch, next, 1);
    assert_eq!(watch.screen.as_ref().map(|screen| screen.up_s), Some(11));
    hear(&mut watch, next, 2);
    assert_eq!(watch.screen.unwrap().packets.received, 6_000.0);
}

#[test]
fn what_is_shown_stands_still_in_a_pause() {
    let (mut watch, engine) = (watch(), Made::new());
    (10..12).for_each(|seconds| hear(&mut watch, engine, seconds));
    let pause = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
    watch.view.on_key(pause, 0);
    (12..60).for_each(|seconds| hear(&mut watch, engine, seconds));
    assert_eq!(watch.screen.as_ref().map(|screen| screen.up_s), Some(11));
    watch.view.on_key(pause, 0);
    hear(&mut watch, engine, 60);
    let screen = watch.screen.unwrap();
    assert_eq!((screen.up_s, screen.packets.received), (60, 6_000.0));
}
