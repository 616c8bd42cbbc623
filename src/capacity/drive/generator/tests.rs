use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;

/// Answers each request, but none between two times.
async fn server(stands_still: std::ops::Range<Instant>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let stands_still = stands_still.clone();
            spawn_local(async move {
                // A request of ours comes in one piece.
                while stream.read(&mut [0; 1024]).await.is_ok_and(|octets| octets > 0) {
                    if stands_still.contains(&Instant::now()) {
                        tokio::time::sleep_until(stands_still.end.into()).await;
                    }
                    let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(reply).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn in_local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

fn target(address: SocketAddr) -> Target {
    format!("http://{address}/").parse().unwrap()
}

/// A client that waits for its replies would have sent two requests meanwhile, of some hundreds.
#[test]
fn requests_that_were_due_while_nobody_answered_count() {
    let step = in_local(async {
        let now = Instant::now();
        let stands_still = now + Duration::from_millis(300)..now + Duration::from_millis(600);
        let mut generator = Generator::new(target(server(stands_still).await), 2, 1).unwrap();
        generator.step(Kind::Load, 400.0, Duration::from_secs(1)).await.unwrap()
    });
    assert_eq!(step.failed, 0);
    assert!((300.0..500.0).contains(&step.answered), "{step:?}");
    // Three tenths of all were due then, evenly; so one in ten waited for longer than 200 ms.
    assert!(step.p99_us > 200_000.0, "{step:?}");
}

#[test]
fn as_many_as_get_through_are_more_than_were_asked_for() {
    let (most, step) = in_local(async {
        let now = Instant::now();
        let mut generator = Generator::new(target(server(now..now).await), 4, 1).unwrap();
        let most = generator.most(Kind::Load, Duration::from_millis(300)).await;
        let time = Duration::from_millis(500);
        (most, generator.step(Kind::NewConnections, 100.0, time).await.unwrap())
    });
    assert!(most > 200.0, "{most}");
    assert!((20.0..200.0).contains(&step.answered) && step.failed == 0, "{step:?}");
}
