//! Whoever is not exactly who is expected gets nothing, is told why, and leaves the server as it was.

use crate::cluster::{Coordinator, Places, Signer, any_port, block_on, take};
use crate::raw;
use hyper::{Method, StatusCode};
use perennial_coordinator::mailbox::{
    self as server, Limits, ListenError, LoopbackListener, Mailbox, ServeError,
};
use perennial_signer::mailbox::{Lane, State, Trouble};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// The server still works for those it knows.
fn assert_serves(places: &Places, coordinator: &Coordinator) {
    let a = Signer::connect(places, "a", coordinator.address);
    coordinator.mailbox.post("a", server::Lane::Signing, b"hello".to_vec()).expect("posted");
    assert_eq!(a.receive(Lane::Signing), b"hello");
}

#[test]
fn a_signer_with_an_unknown_pin_is_refused_and_told_its_pin() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let stranger = Signer::connect(&places, "stranger", coordinator.address);
    stranger.send(Lane::Signing, b"let me in");
    for lane in [Lane::Signing, Lane::Ceremony] {
        let (trouble, reason) = stranger.wait_until_down(lane);
        assert_eq!(trouble, Trouble::NotRegistered);
        assert!(reason.contains(&places.signer("stranger").pin().to_string()), "{reason}");
        assert!(reason.contains("register the pin"), "{reason}");
    }
    assert!(incoming.try_recv().is_err());
    assert_eq!(coordinator.mailbox.last_seen("stranger"), None);
    assert_serves(&places, &coordinator);
}

#[test]
fn a_coordinator_with_another_pin_is_refused_with_both_pins_and_what_to_do() {
    let places = Places::new();
    let (coordinator, mut incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let expected = places.signer("somebody else").pin();
    let a = Signer::connect_with(&places.signer("a"), coordinator.address, expected);
    a.send(Lane::Signing, b"for the right one only");
    let (trouble, reason) = a.wait_until_down(Lane::Signing);
    assert_eq!(trouble, Trouble::WrongCoordinator);
    assert!(reason.contains(&format!("the coordinator's pin is {expected}")), "{reason}");
    assert!(reason.contains(&format!("showed the pin {}", places.coordinator_pin())), "{reason}");
    assert!(reason.contains("put its new pin into this signer's configuration"), "{reason}");
    assert!(incoming.try_recv().is_err());
    assert_eq!(coordinator.mailbox.last_seen("a"), None);
    assert_serves(&places, &coordinator);
}

#[test]
fn plain_text_gets_no_http_answer() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    for request in ["GET /mail/signing HTTP/1.1\r\nhost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(coordinator.address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        // The connection may also be reset, which is as good an end.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 16, "an alert at most: {answer:?}");
    }
    assert_serves(&places, &coordinator);
}

#[test]
fn a_client_without_an_identity_or_without_http_2_is_refused() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    for (signer, protocol) in [(None, "h2"), (Some("a"), "http/1.1")] {
        block_on(async {
            let configuration = raw::configuration(&places, signer, protocol);
            let refusal = match raw::dial(configuration, coordinator.address).await {
                Err(refusal) => refusal,
                // TLS 1.3 tells a client about its certificate only after its handshake is complete.
                Ok(mut stream) => stream.read_u8().await.expect_err("refused"),
            };
            assert!(refusal.to_string().contains("alert"), "{refusal}");
        });
    }
    assert_serves(&places, &coordinator);
}

#[test]
fn a_client_that_asks_for_no_protocol_is_refused() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    block_on(async {
        let mut configuration = raw::configuration(&places, Some("a"), "h2");
        configuration.alpn_protocols.clear();
        let mut stream = raw::dial(configuration, coordinator.address).await.expect("a handshake");
        let mut answer = Vec::new();
        // Closed without a byte, whether politely or not.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{answer:?}");
    });
    assert_serves(&places, &coordinator);
}

#[test]
fn a_silent_connection_keeps_nobody_from_working() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let silent: Vec<TcpStream> =
        (0..8).map(|_| TcpStream::connect(coordinator.address).expect("a connection")).collect();
    assert_serves(&places, &coordinator);
    drop(silent);
}

#[test]
fn a_signer_gets_a_bounded_number_of_connections() {
    let places = Places::new();
    let (coordinator, _incoming) = Coordinator::start(&places, &["a", "b"], any_port(), 1);
    block_on(async {
        let mut open = Vec::new();
        for _ in 0..8 {
            let mut one = raw::Raw::connect(&places, "b", coordinator.address).await;
            assert_eq!(one.get("/mail/signing").await.0, StatusCode::OK);
            open.push(one);
        }
        let mut one_more = raw::Raw::connect(&places, "b", coordinator.address).await;
        one_more.ask(Method::GET, "/mail/signing", None, raw::Pieces::default()).await.expect_err("refused");
        assert_eq!(open[0].get("/mail/signing").await.0, StatusCode::OK);
    });
    assert_serves(&places, &coordinator);
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let address: SocketAddr = address.parse().expect("an address");
        let refusal = LoopbackListener::bind(address).expect_err("refused");
        assert!(matches!(refusal, ListenError::NotLoopback(_)), "{refusal}");
        assert!(refusal.to_string().contains("loopback addresses only"), "{refusal}");
    }
}

#[test]
fn a_channel_that_cannot_hold_a_parcel_and_a_pin_of_two_signers_are_refused_at_the_start() {
    let places = Places::new();
    let pin: perennial_daemon::identity::Pin = places.signer("a").pin().to_string().parse().expect("a pin");
    let twice = BTreeMap::from([("a".to_owned(), pin), ("b".to_owned(), pin)]);
    let refusal = server::ServerTls::new(&places.coordinator(), &twice).expect_err("refused").to_string();
    assert!(refusal.contains("`a` and `b`") && refusal.contains(&pin.to_string()), "{refusal}");

    let once = BTreeMap::from([("a".to_owned(), pin)]);
    let tls = server::ServerTls::new(&places.coordinator(), &once).expect("distinct pins");
    let listener = LoopbackListener::bind(any_port()).expect("a port");
    let mailbox = Mailbox::new([1; 16], Limits::default());
    let (sender, _receiver) = mpsc::channel(server::ITEMS_MAX - 1);
    let served = block_on(server::serve(listener, tls, mailbox, sender, std::future::pending()));
    assert!(matches!(served, Err(ServeError::ChannelTooSmall(_))), "{served:?}");
}

#[test]
fn a_signer_that_is_registered_later_gets_in_without_a_restart_of_its_own() {
    let places = Places::new();
    let (first, _incoming) = Coordinator::start(&places, &["a"], any_port(), 1);
    let address = first.address;
    let b = Signer::connect(&places, "b", address);
    b.send(Lane::Ceremony, b"enrol me");
    b.wait_until_down(Lane::Ceremony);
    first.stop();
    let (second, mut incoming) = Coordinator::start(&places, &["a", "b"], address, 2);
    b.wait_for(Lane::Ceremony, |state| *state == State::Connected);
    assert_eq!(take(&mut incoming).body, b"enrol me");
    second.stop();
}
