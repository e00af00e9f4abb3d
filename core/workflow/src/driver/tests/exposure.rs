//! Where copies may be left, through a refresh whose receipts come one by one, and through attempts that are left.

use super::*;
use perennial_model::exposure::{Copies, Exposure, KeyState, undead_since_ms};

/// Each number of the first wallet, what it is worth, and where copies of it may be.
fn register(play: &Play) -> Vec<(String, Exposure, KeyState, String)> {
    let shown = |copies: &Copies| {
        let places: Vec<&str> = copies.outstanding().map(SignerId::as_str).collect();
        (copies.number.to_string(), copies.exposure(), copies.key_state(), places.join(" "))
    };
    copies(play).iter().map(shown).collect()
}

fn copies(play: &Play) -> Vec<Copies> {
    let open: Vec<_> =
        play.driver.open.values().map(|ceremony| (ceremony.plan().clone(), ceremony.status())).collect();
    let open = open.iter().map(|(plan, status)| (plan, status));
    crate::exposure::copies(&play.driver.heads, open, play.driver.thefts(), &name("w0"))
}

fn row(
    number: &str,
    exposure: Exposure,
    state: KeyState,
    places: &str,
) -> (String, Exposure, KeyState, String) {
    (number.into(), exposure, state, places.into())
}

/// As long as these requests are lost at these signers.
fn lost(at: &str, request: fn(&Request) -> bool) -> impl FnMut(&SignerId, &Request) -> Fate {
    move |signer, asked| match request(asked) && at.contains(signer.as_str()) {
        true => Fate::Lost,
        false => Fate::Answered,
    }
}

fn is_retire(request: &Request) -> bool {
    matches!(request, Request::Retire(_))
}

fn go_on(play: &mut Play, mut fate: impl FnMut(&SignerId, &Request) -> Fate) {
    play.driver.world.now_ms += 20_000;
    play.driver.tick();
    play.run(&mut fate);
}

#[test]
fn what_is_below_a_retirement_dies_with_the_last_receipt_and_a_restart_forgets_none_of_it() {
    let live = |number, places| row(number, Exposure::Live, KeyState::Active, places);
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    assert_eq!(register(&play), [live("1.1", "a b c")]);
    assert_eq!(undead_since_ms(&copies(&play)), None);

    let plan = play.cast.refresh(&parents(&play), 2);
    play.begin(&plan);
    let is_keep = |request: &Request| matches!(request, Request::Activate(_) | Request::Keep(_));
    play.run(&mut lost("c", is_keep));
    assert_eq!(register(&play), [live("2.1", "a b c"), live("1.1", "a b c")]);
    assert!(undead_since_ms(&copies(&play)).is_some_and(|since_ms| since_ms >= 1_000));

    let below = |exposure, state, places| [live("2.1", "a b c"), row("below 2.1", exposure, state, places)];
    go_on(&mut play, lost("abc", is_retire));
    let retiring = below(Exposure::Retiring { copies: 3, needed: 2 }, KeyState::Deactivated, "a b c");
    assert_eq!(register(&play), retiring);
    go_on(&mut play, lost("bc", is_retire));
    let two = below(Exposure::Retiring { copies: 2, needed: 2 }, KeyState::Deactivated, "b c");
    assert_eq!(register(&play), two);
    play.crash();
    assert_eq!(register(&play), two);
    go_on(&mut play, lost("c", is_retire));
    let one = below(Exposure::DeadAgainst { copies: 1, liars: 0 }, KeyState::Deactivated, "c");
    assert_eq!(register(&play), one);
    assert!(undead_since_ms(&copies(&play)).is_some());
    go_on(&mut play, honest);
    let dead = below(Exposure::Dead, KeyState::Destroyed, "");
    assert_eq!((register(&play), undead_since_ms(&copies(&play))), (dead.to_vec(), None));
    play.crash();
    assert_eq!(register(&play), dead);
}

#[test]
fn an_attempt_counts_from_its_dealings_on_and_after_it_was_left_until_a_retirement_above() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let plan = play.cast.refresh(&parents(&play), 2);
    play.begin(&plan);
    let is_verify = |request: &Request| matches!(request, Request::Verify { .. });
    play.run(&mut lost("c", is_verify));
    let candidate = row("2.1", Exposure::Live, KeyState::PreActivation, "a b c");
    let present = row("1.1", Exposure::Live, KeyState::Active, "a b c");
    assert_eq!(register(&play), [candidate, present.clone()]);

    let stuck = |request: &Request| match request {
        Request::Verify { inputs, .. } => inputs.chunk.epoch.count == 1,
        Request::Open { chunk, .. } => chunk.epoch.count == 2,
        _ => false,
    };
    let until = |play: &Play| play.driver.heads.left_behind(&name("w0")).len() == 3;
    play.run_until(500_000, &mut lost("abc", stuck), &until);
    let left = register(&play).into_iter().find(|(number, ..)| number == "2.1").expect("a row");
    assert_eq!(left, row("2.1", Exposure::Retiring { copies: 3, needed: 2 }, KeyState::Deactivated, "a b c"));
    play.run_until(900_000, &mut honest, &|_| false);
    let now = register(&play);
    assert_eq!(now[0], row("2.2", Exposure::Live, KeyState::Active, "a b c"));
    assert_eq!(now[1..], [row("below 2.2", Exposure::Dead, KeyState::Destroyed, "")]);
}
