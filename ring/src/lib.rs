//! A bounded ring between two threads: one pushes, the other pops, in order and in bursts.
//!
//! Stages that run on different cores hand over what they own by such rings. [`ring`] makes the two
//! ends, a [`Producer`] and a [`Consumer`]; each belongs to one thread at a time. Nothing waits:
//! what does not fit stays with the producer's thread, and an empty ring is found empty. All memory
//! is taken when the ring is made.
//!
//! What it costs two cores to hand something over is moving cache lines between them. So each
//! end keeps its own count and what it last saw of the other's, looks at the other's only when that
//! does not do, and publishes its own once a burst; the two counts lie apart.
//!
//! ```
//! let (mut producer, mut consumer) = ringroad_ring::ring(4);
//! let mut numbers = 0..6;
//! assert_eq!(producer.push_burst(&mut numbers), 4);
//! assert_eq!(numbers, 4..6, "what does not fit is not taken");
//! assert_eq!(consumer.pop_burst(3).collect::<Vec<_>>(), [0, 1, 2]);
//! assert_eq!(consumer.pop(), Some(3));
//! assert_eq!(consumer.pop(), None);
//! ```
//!
//! What must not leave its thread does not pass:
//!
//! ```compile_fail,E0277
//! fn crosses<T: Send>(_: T) {}
//! let (producer, _consumer) = ringroad_ring::ring::<std::rc::Rc<()>>(4);
//! crosses(producer);
//! ```
//!
//! Start reading at [`Producer`]; the memory that both ends use, and all `unsafe`, is in `shared`.

mod consumer;
mod producer;
mod shared;
mod sync;

pub use consumer::{Consumer, Drain};
pub use producer::Producer;

use shared::Shared;
use sync::Arc;

/// Makes a ring for `capacity` items.
///
/// # Panics
/// If `capacity` is not a power of two.
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    ring_from(0, capacity)
}

/// As [`ring`], with counts that begin at `position`: tests see them overflow.
fn ring_from<T>(position: usize, capacity: usize) -> (Producer<T>, Consumer<T>) {
    let shared = Arc::new(Shared::new(position, capacity));
    (Producer::new(shared.clone(), position), Consumer::new(shared, position))
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
