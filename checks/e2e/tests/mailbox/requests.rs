//! The protocol, request by request: what it promises, and what it answers to requests that are broken, too
//! large, or not understood. After each of these the same connection still works, where HTTP/2 allows it.

use crate::cluster::{Coordinator, Places, any_port, block_on};
use crate::raw::{Pieces, Raw, delivery, parcel};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use perennial_coordinator::mailbox::{self as server, BODY_BYTES_MAX, ITEM_BYTES_MAX, ITEMS_MAX, Incoming};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const INCARNATION: &str = "incarnation=01010101010101010101010101010101";

async fn assert_works(raw: &mut Raw, incoming: &mut mpsc::Receiver<Incoming>) {
    assert_eq!(raw.post(parcel(&[b"well"])).await.0, StatusCode::NO_CONTENT);
    assert_eq!(incoming.recv().await.expect("the server runs").body, b"well");
    assert!(incoming.try_recv().is_err(), "something else was accepted before");
}

#[test]
fn a_poll_brings_what_is_there_again_and_again_until_it_is_acknowledged() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let post =
        |item: &[u8]| coordinator.mailbox.post("a", server::Lane::Signing, item.to_vec()).expect("posted");
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        post(b"one");
        post(b"two");
        for _ in 0..2 {
            let (status, body) = raw.get("/mail/signing?after=0&wait_ms=10000").await;
            assert_eq!(
                (status, delivery(&body)),
                (StatusCode::OK, (1, vec![b"one".to_vec(), b"two".to_vec()]))
            );
        }
        // Other lanes and other incarnations acknowledge nothing.
        raw.get(&format!("/mail/ceremony?after=2&{INCARNATION}")).await;
        raw.get(&format!("/mail/signing?after=2&{}", INCARNATION.replace('1', "2"))).await;
        let (_, body) = raw.get(&format!("/mail/signing?after=1&{INCARNATION}")).await;
        assert_eq!(delivery(&body), (2, vec![b"two".to_vec()]));
        let (_, body) = raw.get("/mail/signing").await;
        assert_eq!(delivery(&body), (2, vec![b"two".to_vec()]));
        let (_, body) = raw.get(&format!("/mail/signing?after=2&{INCARNATION}")).await;
        assert_eq!(delivery(&body), (3, vec![]));
    });
}

#[test]
fn a_poll_waits_for_mail_and_no_longer_than_it_was_asked_to() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        let start = Instant::now();
        let (_, body) = raw.get("/mail/signing?wait_ms=50").await;
        assert_eq!(delivery(&body), (1, vec![]));
        assert!(start.elapsed() >= Duration::from_millis(50));
        let mailbox = coordinator.mailbox.clone();
        let (answer, ()) = tokio::join!(raw.get("/mail/signing?wait_ms=60000"), async {
            // A poll that is waiting makes its signer seen now.
            while mailbox.last_seen("a").is_none_or(|seen| seen.elapsed() > Duration::from_millis(20)) {
                tokio::task::yield_now().await;
            }
            mailbox.post("a", server::Lane::Signing, b"late".to_vec()).expect("posted");
        });
        assert_eq!(delivery(&answer.1), (1, vec![b"late".to_vec()]));
    });
}

#[test]
fn an_answer_is_bounded_and_the_rest_follows() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let post = |item: Vec<u8>| coordinator.mailbox.post("a", server::Lane::Signing, item).expect("posted");
    for _ in 0..5 {
        post(vec![0; 3 << 20]);
    }
    for _ in 0..ITEMS_MAX {
        post(vec![1]);
    }
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        for (after, count) in [(0, 2), (2, 2), (4, ITEMS_MAX), (4 + ITEMS_MAX, 1)] {
            let (_, body) = raw.get(&format!("/mail/signing?after={after}&{INCARNATION}")).await;
            assert_eq!(delivery(&body).1.len(), count, "after {after}");
        }
    });
}

#[test]
fn a_broken_parcel_is_answered_400_and_nothing_of_it_is_accepted() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let whole = parcel(&[b"first item", b"second item"]);
    let too_many = parcel(&vec![b"x".as_slice(); ITEMS_MAX + 1]);
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        for (body, sentence) in [
            (whole[..whole.len() - 3].to_vec(), "cut short"),
            (whole[..5].to_vec(), "no parcel"),
            (Vec::new(), "no parcel"),
            ([whole.as_slice(), b"more"].concat(), "canonical"),
            (parcel(&[]), "1 to 256"),
            (too_many, "1 to 256"),
            (b"{\"items\": []}".to_vec(), "no parcel"),
        ] {
            let (status, text) = raw.post(body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
            assert!(text.contains(sentence), "{text}");
            assert_works(&mut raw, &mut incoming).await;
        }
    });
    coordinator.stop();
}

#[test]
fn a_body_that_is_too_large_is_answered_413_and_the_server_goes_on() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    let endless = || Pieces((0..40).map(|_| Ok(megabyte.clone())).collect());
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        let (status, text) = raw.post(parcel(&[&vec![0; ITEM_BYTES_MAX + 1]])).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{text}");
        assert_works(&mut raw, &mut incoming).await;
        for announced in [None, Some(40 << 20)] {
            let answer = raw.ask(Method::POST, "/mail/signing", announced, endless()).await;
            let (status, text) = answer.expect("an answer");
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
            assert!(String::from_utf8_lossy(&text).contains(&BODY_BYTES_MAX.to_string()));
            assert_works(&mut raw, &mut incoming).await;
        }
    });
    coordinator.stop();
}

#[test]
fn a_request_that_is_broken_off_or_lies_about_its_length_is_not_accepted() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let whole = Bytes::from(parcel(&[&[5; 100_000]]));
    let broken_off = || Pieces([Ok(whole.slice(..50_000)), Err(std::io::Error::other("broken off"))].into());
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        raw.ask(Method::POST, "/mail/signing", None, broken_off()).await.expect_err("broken off");
        assert_works(&mut raw, &mut incoming).await;
        for announced in [whole.len() as u64 + 1, whole.len() as u64 - 1] {
            let body = Pieces::of(whole.clone());
            if let Ok((status, _)) = raw.ask(Method::POST, "/mail/signing", Some(announced), body).await {
                assert_eq!(status, StatusCode::BAD_REQUEST);
            }
            let mut raw = Raw::connect(&places, "a", coordinator.address).await;
            assert_works(&mut raw, &mut incoming).await;
        }
    });
    coordinator.stop();
}

#[test]
fn a_parcel_is_accepted_whole_or_not_at_all() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let full = parcel(&vec![b"x".as_slice(); ITEMS_MAX - 1]);
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        assert_eq!(raw.post(full).await.0, StatusCode::NO_CONTENT);
        let (status, text) = raw.post(parcel(&[b"y", b"z"])).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("later"), "{text}");
        assert_eq!(incoming.len(), ITEMS_MAX - 1);
        incoming.recv().await.expect("an item");
        assert_eq!(raw.post(parcel(&[b"y", b"z"])).await.0, StatusCode::NO_CONTENT);
        assert_eq!(incoming.len(), ITEMS_MAX);
    });
}

#[test]
fn what_is_not_understood_is_answered_with_a_sentence() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    block_on(async {
        let mut raw = Raw::connect(&places, "a", coordinator.address).await;
        for (method, path, status) in [
            (Method::GET, "/", StatusCode::NOT_FOUND),
            (Method::GET, "/mail/other", StatusCode::NOT_FOUND),
            (Method::GET, "/mail/signing/", StatusCode::NOT_FOUND),
            (Method::DELETE, "/mail/signing", StatusCode::METHOD_NOT_ALLOWED),
            (Method::GET, "/mail/signing?after=7", StatusCode::BAD_REQUEST),
            (Method::GET, "/mail/signing?after=x", StatusCode::BAD_REQUEST),
            (Method::GET, "/mail/signing?wait_ms=9999999", StatusCode::BAD_REQUEST),
            (Method::GET, "/mail/signing?since=1", StatusCode::BAD_REQUEST),
        ] {
            let (came, text) = raw.ask(method, path, None, Pieces::default()).await.expect("an answer");
            assert_eq!(came, status, "{path}");
            assert!(text.len() > 20, "{path}: {text:?}");
        }
        assert_works(&mut raw, &mut incoming).await;
    });
}
