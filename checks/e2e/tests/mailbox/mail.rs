//! Mail arrives, in order, through everything that is allowed to happen to a connection.

use crate::cluster::{Coordinator, PATIENCE, Places, Signer, any_port, block_on, take};
use perennial_coordinator::mailbox::{self as server, Limits, Mailbox, Posted};
use perennial_signer::mailbox::{ITEM_BYTES_MAX, Lane, State, Trouble};
use std::net::TcpListener;
use std::time::Instant;
use tokio::sync::mpsc;

const LANES: [(Lane, server::Lane); 2] =
    [(Lane::Signing, server::Lane::Signing), (Lane::Ceremony, server::Lane::Ceremony)];

#[test]
fn order_is_kept_in_both_directions_and_lanes() {
    const COUNT: u32 = 3_000;
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let a = Signer::connect(&places, "a", coordinator.address);
    for (lane, server_lane) in LANES {
        for number in 0..COUNT {
            // Sizes on both sides of every limit of copying and of HTTP/2 frames.
            let mut item = vec![0; (number as usize * 7919) % 80_000];
            item.extend_from_slice(&number.to_be_bytes());
            coordinator.mailbox.post("a", server_lane, item.clone()).expect("posted");
            a.send(lane, &item);
        }
        for number in 0..COUNT {
            let outward = a.receive(lane);
            assert!(outward.ends_with(&number.to_be_bytes()), "{lane:?} {number}");
            let inward = take(&mut incoming);
            assert_eq!((inward.from.as_str(), inward.lane), ("a", server_lane));
            assert_eq!(inward.body, outward);
        }
    }
    coordinator.stop();
}

#[test]
fn the_largest_item_passes_and_a_larger_one_is_refused_by_its_sender() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let a = Signer::connect(&places, "a", coordinator.address);
    let largest: Vec<u8> = (0..ITEM_BYTES_MAX).map(|n| n.to_le_bytes()[n % 3]).collect();
    coordinator.mailbox.post("a", server::Lane::Ceremony, largest.clone()).expect("posted");
    a.send(Lane::Ceremony, &largest);
    assert!(a.receive(Lane::Ceremony) == largest);
    assert!(take(&mut incoming).body == largest);
    let larger = vec![0; ITEM_BYTES_MAX + 1];
    let refusal = coordinator.mailbox.post("a", server::Lane::Ceremony, larger.clone()).expect_err("refused");
    assert!(refusal.to_string().contains("`a`"), "{refusal}");
    assert!(a.client.send(Lane::Ceremony, vec![vec![1], larger]).is_err());
}

#[test]
fn a_new_incarnation_loses_nothing_that_was_posted_to_it() {
    let places = Places::new();
    let (first, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let address = first.address;
    let a = Signer::connect(&places, "a", address);
    for number in 0..5 {
        first.mailbox.post("a", server::Lane::Signing, vec![number]).expect("posted");
        assert_eq!(a.receive(Lane::Signing), [number]);
    }
    first.stop();
    a.wait_until_down(Lane::Signing);
    // The signer's position is beyond these numbers, but it counts in the incarnation before.
    let mailbox = Mailbox::new([2; 16], Limits::default());
    for number in 10..13 {
        mailbox.post("a", server::Lane::Signing, vec![number]).expect("posted");
    }
    let (sender, mut incoming) = mpsc::channel(server::ITEMS_MAX);
    let second = Coordinator::start_with(&places, &["a"], address, mailbox, sender, async {});
    for number in 10..13 {
        assert_eq!(a.receive(Lane::Signing), [number]);
    }
    a.send(Lane::Signing, b"still here");
    assert_eq!(take(&mut incoming).body, b"still here");
    second.stop();
}

#[test]
fn mail_sent_while_the_coordinator_was_down_arrives_when_it_is_back() {
    let places = Places::new();
    let (first, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let address = first.address;
    first.stop();
    let a = Signer::connect(&places, "a", address);
    for number in 0..1_000_u32 {
        a.send(Lane::Signing, &number.to_be_bytes());
    }
    let (trouble, reason) = a.wait_until_down(Lane::Signing);
    assert_eq!(trouble, Trouble::Unreachable);
    assert!(reason.contains(&address.to_string()) && reason.contains("running?"), "{reason}");
    let (second, mut incoming) = Coordinator::start(&places, &["a"], address, 2);
    for number in 0..1_000_u32 {
        assert_eq!(take(&mut incoming).body, number.to_be_bytes());
    }
    a.wait_for(Lane::Signing, |state| *state == State::Connected);
    second.stop();
}

#[test]
fn a_full_channel_delays_mail_and_keeps_its_order() {
    const COUNT: usize = 4 * server::ITEMS_MAX;
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let a = Signer::connect(&places, "a", coordinator.address);
    // Both channels are much smaller than what is sent through them, and nobody takes anything yet.
    let items: Vec<Vec<u8>> = (0..COUNT).map(|number| number.to_be_bytes().to_vec()).collect();
    a.client.send(Lane::Signing, items.clone()).expect("queued");
    for item in &items {
        coordinator.mailbox.post("a", server::Lane::Signing, item.clone()).expect("posted");
    }
    block_on(async {
        while incoming.len() < server::ITEMS_MAX {
            tokio::task::yield_now().await;
        }
    });
    for item in &items {
        assert_eq!(take(&mut incoming).body, *item);
        assert_eq!(a.receive(Lane::Signing), *item);
    }
}

#[test]
fn many_failed_attempts_are_one_change_of_state() {
    let places = Places::new();
    let deaf = TcpListener::bind(any_port()).expect("a port");
    let address = deaf.local_addr().expect("an address");
    let a = Signer::connect(&places, "a", address);
    let mut states = a.client.state(Lane::Signing);
    drop(deaf.accept().expect("the first attempts of both lanes"));
    drop(deaf.accept().expect("the first attempts of both lanes"));
    assert_eq!(a.wait_until_down(Lane::Signing).0, Trouble::Broken);
    states.mark_unchanged();
    for _ in 0..6 {
        drop(deaf.accept().expect("another attempt"));
    }
    assert!(!states.has_changed().expect("the lane lives"), "{:?}", states.borrow());
}

#[test]
fn an_overflowing_mailbox_drops_the_oldest_and_says_so() {
    let places = Places::new();
    let mailbox = Mailbox::new([1; 16], Limits { items: 3, bytes: 1_000 });
    let posted: Vec<Posted> = (0..5)
        .map(|number| mailbox.post("a", server::Lane::Signing, vec![number]).expect("posted"))
        .collect();
    assert_eq!(posted[2], Posted { number: 3, dropped: 0 });
    assert_eq!(posted[4], Posted { number: 5, dropped: 1 });
    let (sender, _incoming) = mpsc::channel(server::ITEMS_MAX);
    let coordinator = Coordinator::start_with(&places, &["a"], any_port(), mailbox, sender, async {});
    let a = Signer::connect(&places, "a", coordinator.address);
    for number in 2..5 {
        assert_eq!(a.receive(Lane::Signing), [number]);
    }
}

#[test]
fn a_signer_is_seen_while_it_polls_and_remembered_after() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a", "b"], any_port(), 1);
    let a = Signer::connect(&places, "a", coordinator.address);
    a.wait_for(Lane::Signing, |state| *state == State::Connected);
    let before = Instant::now();
    while coordinator.mailbox.last_seen("a").is_none_or(|seen| seen < before) {
        assert!(before.elapsed() < PATIENCE, "a waiting poll does not count as presence");
    }
    drop(a);
    let gone = loop {
        let now = Instant::now();
        match coordinator.mailbox.last_seen("a") {
            Some(seen) if seen < now => break seen,
            _ => assert!(before.elapsed() < PATIENCE, "a signer that is gone counts as present"),
        }
    };
    assert!(gone.elapsed() < PATIENCE);
    assert_eq!(coordinator.mailbox.last_seen("b"), None);
    assert_eq!(coordinator.mailbox.last_seen("nobody"), None);
}
