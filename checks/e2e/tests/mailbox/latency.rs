//! How long one hop takes: signer `a` posts, the coordinator forwards, signer `b` receives. Nothing is asserted
//! about time; the figures are printed (`cargo test --release -p perennial-e2e --test parts hop -- --nocapture`).

use crate::cluster::{Coordinator, PATIENCE, Places, Signer, any_port};
use perennial_coordinator::mailbox::{self as server, Limits, Mailbox};
use perennial_signer::mailbox::{Client, Lane, Received, State};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const ROUNDS: usize = 2_000;
const SMALL: usize = 200;
const USUAL: usize = 27 << 10;
const BULK: usize = 10 << 20;

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn print(what: &str, mut hops: Vec<Duration>) {
    hops.sort_unstable();
    let (half, most, worst) = (percentile(&hops, 50), percentile(&hops, 99), percentile(&hops, 100));
    println!("hop, {what:<44} n {:>5}  p50 {half:>9.1?}  p99 {most:>9.1?}  max {worst:>9.1?}", hops.len());
}

/// Sends items one by one, the next when the former has arrived and `pause` has passed.
fn hops(a: &Client, b: &Receiver<Received>, bytes: usize, pause: Duration) -> Vec<Duration> {
    (0..ROUNDS)
        .map(|round| {
            let mut item = vec![0; bytes];
            item[..8].copy_from_slice(&round.to_be_bytes());
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            let start = Instant::now();
            a.send(Lane::Signing, vec![item]).expect("queued");
            let received = b.recv_timeout(PATIENCE).expect("mail in time").body;
            let hop = start.elapsed();
            assert_eq!(received[..8], round.to_be_bytes());
            hop
        })
        .collect()
}

#[test]
fn a_hop_keeps_its_contents_while_bulk_mail_flows_and_its_time_is_printed() {
    let places = Places::new();
    let mailbox = Mailbox::new([1; 16], Limits::default());
    let (sender, mut incoming) = mpsc::channel::<server::Incoming>(server::ITEMS_MAX);
    let forwarding = mailbox.clone();
    let forward = async move {
        while let Some(item) = incoming.recv().await {
            forwarding.post("b", item.lane, item.body).expect("a small item");
        }
    };
    let coordinator = Coordinator::start_with(&places, &["a", "b"], any_port(), mailbox, sender, forward);
    let a = Signer::connect(&places, "a", coordinator.address);
    let b = Signer::connect(&places, "b", coordinator.address);
    for (signer, lane) in
        [(&a, Lane::Signing), (&b, Lane::Signing), (&a, Lane::Ceremony), (&b, Lane::Ceremony)]
    {
        signer.wait_for(lane, |state| *state == State::Connected);
    }
    let a = &a.client;
    let pause = Duration::from_millis(1);
    hops(a, &b.signing, SMALL, Duration::ZERO);
    print("200 B, back to back", hops(a, &b.signing, SMALL, Duration::ZERO));
    print("27 KB, back to back", hops(a, &b.signing, USUAL, Duration::ZERO));
    print("200 B, 1 ms apart", hops(a, &b.signing, SMALL, pause));
    print("27 KB, 1 ms apart", hops(a, &b.signing, USUAL, pause));

    let ended = AtomicBool::new(false);
    let transfers = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let ceremony = b.ceremony;
        let (ended, transfers) = (&ended, &transfers);
        scope.spawn(move || {
            // As the signer's own redistribution does.
            perennial_daemon::priority::lower_this_thread();
            while !ended.load(Ordering::Relaxed) {
                a.send(Lane::Ceremony, vec![vec![3; BULK]]).expect("queued");
                let received = ceremony.recv_timeout(PATIENCE).expect("mail in time").body;
                assert_eq!(received.len(), BULK);
                transfers.fetch_add(1, Ordering::Relaxed);
            }
        });
        print("200 B, 1 ms apart, 10 MB in the other lane", hops(a, &b.signing, SMALL, pause));
        print("27 KB, 1 ms apart, 10 MB in the other lane", hops(a, &b.signing, USUAL, pause));
        ended.store(true, Ordering::Relaxed);
    });
    let bytes = transfers.load(Ordering::Relaxed) * BULK as u64;
    println!("hop, in the other lane: {:.0} MB/s", bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
}
