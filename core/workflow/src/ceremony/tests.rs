//! Every state against every fact, and facts in any order.

use super::cutting::{Ground, cut};
use super::generation::Generation;
use super::statement::Statement;
use super::states::Terms;
use super::*;
use crate::sample::{Cast, name, rng, sign};
use perennial_model::Error;
use perennial_model::encoding::{self, Digest};
use perennial_model::group::Point;
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use perennial_model::share_set::ShareSet;
use perennial_model::signature::RawSignature;
use perennial_model::transcript::Transcript;
use perennial_model::vote::VoteKind;
use perennial_model::wallet::{Chain, Scheme, Tier};
use proptest::prelude::*;

/// One attempt from its beginning to its end, each fact in its place.
fn run(cast: &mut Cast, terms: Terms) -> (Vec<Fact>, Vec<Attempt>) {
    let mut attempt = Attempt::new(0, terms);
    let mut states = vec![attempt.clone()];
    let mut facts = Vec::new();
    while !attempt.is_over() {
        let fact = match attempt.next() {
            Step::Ask(request, missing) => {
                let signer = missing[0].clone();
                let reply = cast.answer(&signer, request).remove(0);
                hear(cast, &attempt, &signer, reply).expect("an honest reply")
            }
            Step::Fix => {
                let State::Opening(state) = &attempt.state else { panic!("only an opening is fixed") };
                Fact::Fixed(
                    inputs::choose(&attempt.terms, state, &Default::default(), &|_| 0).expect("all opened"),
                )
            }
            Step::Transcribe => {
                let State::Dealing(state) = &attempt.state else { panic!("only dealings are computed") };
                let dealings = state.in_order();
                let generation = generation::transcribe(&attempt.terms, &state.inputs, &dealings, &[]);
                Fact::Transcribed(Box::new(generation.expect("sound dealings")))
            }
            Step::Probe(missing) => {
                let task = missing.first().expect("a probe").clone();
                let signature = cast.probe(&attempt.terms.chunk, task.wallet as usize, task.counter);
                Fact::Probed(vec![ProbeSignature { task, signature }])
            }
            Step::Retire => Fact::Retirement(cast.signers.clone()),
            Step::Rest => panic!("it is not over"),
        };
        facts.push(fact.clone());
        attempt = attempt.apply(facts.len() as u64, fact).expect("a fact in its place");
        states.push(attempt.clone());
    }
    (facts, states)
}

fn hear(cast: &Cast, attempt: &Attempt, from: &SignerId, reply: Reply) -> Result<Fact, Error> {
    let statement = Statement::check(from, reply, &*cast.history)?.expect("a statement about a chunk");
    attempt.hear(statement, &mut rng())
}

fn create(count: usize) -> (Cast, Terms) {
    let mut cast = Cast::new(2, 3);
    let plan = cast.create(&vec![Chain::Bitcoin; count]);
    let terms = cast.terms(&plan, 1, 0, count as u32);
    (cast, terms)
}

fn at_phase(states: &[Attempt], phase: Phase) -> &Attempt {
    states.iter().find(|attempt| attempt.phase() == phase).expect("every phase is passed")
}

#[test]
fn every_fact_moves_exactly_the_states_that_await_it() {
    let (mut cast, terms) = create(2);
    let (facts, states) = run(&mut cast, terms);
    let left = Fact::Left(Reason::TooLate);
    let superseded = Fact::Left(Reason::Superseded(Epoch::new(9, 1)));
    let outrun = Fact::Left(Reason::Outrun(Epoch::new(1, 2)));
    let first_keep = facts.iter().position(|fact| matches!(fact, Fact::Kept(_))).expect("a vote");
    for (place, attempt) in states.iter().enumerate() {
        for (at, fact) in facts.iter().chain([&left, &superseded, &outrun]).enumerate() {
            let phase = attempt.phase();
            let fits = match fact {
                Fact::Left(Reason::Superseded(_) | Reason::Outrun(_)) => phase < Phase::Retiring,
                Fact::Left(_) => phase.is_before_activation(),
                // What several say, they say in any order; all else has one place.
                Fact::Opened(_) => phase == Phase::Opening && at >= place,
                Fact::Committed(_) => phase == Phase::Committing && at >= place,
                Fact::Dealt(_) => phase == Phase::Dealing && at >= place,
                Fact::Prepared(_) => phase == Phase::Preparing && at >= place,
                Fact::Probed(_) => phase == Phase::Probing && at >= place,
                Fact::Activated(..) => phase == Phase::Activating && at >= place,
                Fact::Kept(_) => {
                    matches!(phase, Phase::Activating | Phase::Keeping) && at >= place.max(first_keep)
                }
                Fact::Erased(_) => phase == Phase::Retiring && at >= place,
                // Nobody has to wait for all members.
                Fact::Fixed(_) => at == place,
                Fact::Transcribed(_) | Fact::Retirement(_) => at == place,
            };
            match attempt.clone().apply(99, fact.clone()) {
                Ok(next) => {
                    assert!(fits, "{} moved an attempt that is {phase}", fact.name());
                    assert_ne!(next.state, attempt.state);
                }
                Err(refused) => {
                    assert!(!fits, "{} did not move an attempt that is {phase}", fact.name());
                    assert_eq!(*refused.attempt, *attempt);
                    assert_eq!(*refused.fact, *fact);
                }
            }
        }
    }
}

#[test]
fn an_attempt_asks_for_the_same_until_it_is_answered() {
    let (mut cast, terms) = create(1);
    let (_, states) = run(&mut cast, terms);
    for attempt in &states {
        assert_eq!(attempt.next(), attempt.next());
        if let Step::Ask(_, missing) = attempt.next() {
            assert!(!missing.is_empty(), "{} asks nobody", attempt.phase());
        }
    }
    let phases: Vec<Phase> = states.last().expect("an end").progress.phases.iter().map(|(p, _)| *p).collect();
    let all: Vec<Phase> = vec![
        Phase::Opening,
        Phase::Committing,
        Phase::Dealing,
        Phase::Preparing,
        Phase::Probing,
        Phase::Activating,
        Phase::Keeping,
        Phase::Retiring,
        Phase::Retired,
    ];
    assert_eq!(phases, all);
}

#[test]
fn what_comes_of_an_attempt_convinces_whoever_checks_it() {
    let (mut cast, terms) = create(2);
    let plan = terms.plan.clone();
    let (_, states) = run(&mut cast, terms);
    let State::Activating(state) = &at_phase(&states, Phase::Activating).state else { panic!("activating") };
    let confirmed = (*state.activation).clone().check(&plan, &cast.governance).expect("a sound Activation");
    assert_eq!(confirmed.possessions.len(), 3);
    let Generation { inputs, root, share_sets, .. } = &*state.generation;
    let restored =
        |sets: &[ShareSet]| Transcript::restored(inputs.clone(), *root, &sets.iter().collect::<Vec<_>>());
    let transcript = restored(share_sets).expect("the same transcript");
    // Whoever votes for the root votes for all that a share set says: for the wallet's addresses, above all.
    let changes: [fn(&mut ShareSet); 4] = [
        |set| set.key.chain_code.0[0] ^= 1,
        |set| set.wallet.tier = Tier::Low,
        |set| set.wallet.tenant = name("others"),
        |set| set.wallet.chain = Chain::Solana,
    ];
    for change in changes {
        let mut changed = share_sets.clone();
        change(&mut changed[1]);
        assert!(changed != *share_sets && restored(&changed).is_none());
    }
    let scheme = Chain::Bitcoin.scheme();
    perennial_model::certificate::check_probes(
        scheme,
        &transcript,
        &plan,
        &state.activation.probes,
        &mut rng(),
    )
    .expect("every probe that the root demands");
    let State::Retired(state) = &at_phase(&states, Phase::Retired).state else { panic!("retired") };
    (*state.retirement).clone().check(&plan, &cast.governance).expect("a sound Retirement");
}

#[test]
fn a_statement_is_believed_of_its_author_only() {
    let (cast, terms) = create(1);
    let attempt = Attempt::new(0, terms);
    let (a, b): (SignerId, SignerId) = (name("a"), name("b"));
    let opening = cast.opening(&a, &attempt.terms.chunk);
    let passed_on = hear(&cast, &attempt, &b, Reply::Opened(opening.clone()));
    assert!(matches!(passed_on, Err(Error::Denied(reason)) if reason.contains("b sent")));
    let mut renamed = opening.clone();
    renamed.signer = b.clone();
    assert!(matches!(hear(&cast, &attempt, &b, Reply::Opened(renamed)), Err(Error::Denied(_))));
    let stranger: SignerId = name("mallory");
    let forged = sign(&stranger, &opening.read_unchecked().expect("readable"));
    assert!(matches!(hear(&cast, &attempt, &stranger, Reply::Opened(forged)), Err(Error::Denied(_))));
    let elsewhere = Chunk { first: 1, ..attempt.terms.chunk };
    let other = hear(&cast, &attempt, &a, Reply::Opened(cast.opening(&a, &elsewhere)));
    assert!(matches!(other, Err(Error::Denied(_))));
}

#[test]
fn a_signer_that_says_two_things_is_named() {
    let (cast, terms) = create(1);
    let chunk = terms.chunk;
    let a: SignerId = name("a");
    let attempt = Attempt::new(0, terms);
    let fact = hear(&cast, &attempt, &a, Reply::Opened(cast.opening(&a, &chunk))).expect("its opening");
    let attempt = attempt.apply(1, fact).expect("in its place");
    let again = hear(&cast, &attempt, &a, Reply::Opened(cast.opening(&a, &chunk)));
    assert!(matches!(again, Err(Error::Stale(_))));
    let mut other = cast.opening(&a, &chunk).read_unchecked().expect("readable");
    other.keys[0].public = [8; 32];
    let two_faced = hear(&cast, &attempt, &a, Reply::Opened(sign(&a, &other)));
    assert!(matches!(two_faced, Err(Error::Misbehaved { culprit, .. }) if culprit == a));
    other.keys.truncate(1);
    let fresh = Attempt::new(0, (*attempt.terms).clone());
    let incomplete = hear(&cast, &fresh, &a, Reply::Opened(sign(&a, &other)));
    assert!(matches!(incomplete, Err(Error::Misbehaved { culprit, .. }) if culprit == a));
}

#[test]
fn a_dealer_that_breaks_its_promise_is_named() {
    let (mut cast, terms) = create(1);
    let (_, states) = run(&mut cast, terms);
    let attempt = at_phase(&states, Phase::Dealing);
    let State::Dealing(state) = &attempt.state else { panic!("dealing") };
    let a: SignerId = name("a");
    let mut dealing = cast.dealing(&a, &state.inputs);
    dealing.wallets[0].coefficients.swap(0, 1);
    let broken = hear(&cast, attempt, &a, Reply::Dealt(sign(&a, &dealing)));
    assert!(matches!(broken, Err(Error::Misbehaved { culprit, .. }) if culprit == a));
}

#[test]
fn a_vote_for_another_root_or_without_its_shares_is_not_counted_and_names_the_voter() {
    let (mut cast, terms) = create(1);
    let chunk = terms.chunk;
    let (_, states) = run(&mut cast, terms);
    let a: SignerId = name("a");
    let honest = cast.vote(&a, &chunk, VoteKind::Prepared).read_unchecked().expect("readable");
    let b_proof =
        cast.vote(&name("b"), &chunk, VoteKind::Prepared).read_unchecked().expect("readable").possession;
    let mut wrong = Vec::new();
    for change in 0..4 {
        let mut vote = honest.clone();
        match change {
            0 => vote.root = Digest([1; 32]),
            1 => vote.inputs = Digest([1; 32]),
            2 => vote.governance = Digest([1; 32]),
            _ => vote.possession = None,
        }
        wrong.push(vote);
    }
    let attempt = at_phase(&states, Phase::Preparing);
    for vote in wrong {
        let heard = hear(&cast, attempt, &a, Reply::Voted(sign(&a, &vote)));
        assert!(matches!(heard, Err(Error::Misbehaved { culprit, .. }) if culprit == a));
    }
    let early = hear(&cast, attempt, &a, Reply::Voted(cast.vote(&a, &chunk, VoteKind::Keep)));
    assert!(matches!(early, Err(Error::Stale(_))), "a Keep vote before the Activation changes nothing");
    // A borrowed proof shows when the last vote is in, whoever that comes from.
    let mut borrowed = honest.clone();
    borrowed.possession = b_proof;
    for order in [["a", "b", "c"], ["b", "a", "c"], ["b", "c", "a"]] {
        let mut attempt = attempt.clone();
        let mut heard = Vec::new();
        for signer in order.map(name::<SignerId>) {
            let vote = match signer == a {
                true => sign(&a, &borrowed),
                false => cast.vote(&signer, &chunk, VoteKind::Prepared),
            };
            match hear(&cast, &attempt, &signer, Reply::Voted(vote)) {
                Ok(fact) => attempt = attempt.apply(1, fact).expect("in its place"),
                Err(error) => heard.push(error),
            }
        }
        assert!(matches!(&heard[..], [Error::Misbehaved { culprit, .. }] if *culprit == a), "{heard:?}");
        assert_eq!(attempt.phase(), Phase::Preparing);
    }
}

#[test]
fn a_refused_pair_is_separated_where_the_committee_allows() {
    let mut cast = Cast::new(2, 4);
    let plan = cast.create(&[Chain::Bitcoin]);
    let terms = cast.terms(&plan, 1, 0, 1);
    run(&mut cast, terms.clone());
    let made = cast.generation(&terms.chunk).clone();
    let refresh = cast.refresh(&[(name("w0"), made.digests[0])], 2);
    let terms = cast.terms(&refresh, 1, 0, 1);
    let mut attempt = Attempt::new(0, terms);
    for signer in cast.signers.clone() {
        let fact = hear(&cast, &attempt, &signer, Reply::Opened(cast.opening(&signer, &attempt.terms.chunk)));
        attempt = attempt.apply(0, fact.expect("its opening")).expect("in its place");
    }
    let State::Opening(state) = &attempt.state else { panic!("opening") };
    let experience = |pairs: &[(&str, &str)]| inputs::Experience {
        refused: pairs.iter().map(|(dealer, holder)| (name(dealer), name(holder))).collect(),
        doubted: Vec::new(),
    };
    let choose = |pairs: &[(&str, &str)]| {
        inputs::choose(&attempt.terms, state, &experience(pairs), &|_| 0).expect("inputs")
    };
    let names = |signers: &[SignerId]| signers.iter().map(SignerId::as_str).collect::<String>();
    let plain = choose(&[]);
    assert_eq!((names(&plain.dealers), names(&plain.holders)), ("ab".into(), "abcd".into()));
    let other_dealer = choose(&[("a", "c")]);
    assert_eq!((names(&other_dealer.dealers), names(&other_dealer.holders)), ("bc".into(), "abcd".into()));
    // With every possible pair of dealers refused by d, d is left out: three of four are enough.
    let without = choose(&[("a", "d"), ("b", "d"), ("c", "d")]);
    assert_eq!(names(&without.holders), "abc");
    for chosen in [plain, other_dealer, without] {
        assert!(attempt.clone().apply(1, Fact::Fixed(chosen)).is_ok());
    }
}

#[test]
fn whatever_is_dealt_a_refresh_keeps_the_key_and_a_dealing_of_another_degree_names_its_dealer() {
    let (mut cast, terms) = create(2);
    run(&mut cast, terms.clone());
    let made = cast.generation(&terms.chunk).clone();
    let parents: Vec<_> = made.share_sets.iter().zip(&made.digests).collect();
    let held: Vec<_> = parents.iter().map(|(set, digest)| (set.wallet.id.clone(), **digest)).collect();
    let refresh = cast.refresh(&held, 2);
    let terms = cast.terms(&refresh, 1, 0, 2);
    let openings: Vec<_> = cast.signers.iter().map(|s| cast.opening(s, &terms.chunk)).collect();
    let said: Vec<_> = openings.iter().map(|o| o.check(&*cast.governance).expect("signed")).collect();
    let inputs = Inputs::new(terms.chunk, vec![name("a"), name("c")], &said);
    let dealt = |signer: &str, spoil: &dyn Fn(&mut Vec<Point>)| {
        let signer: SignerId = name(signer);
        let mut dealing = cast.dealing(&signer, &inputs);
        spoil(&mut dealing.wallets[1].coefficients);
        Heard::check(sign(&signer, &dealing), &signer, &*cast.governance).expect("signed")
    };
    let sets: Vec<_> = made.share_sets.iter().collect();
    let good = dealt("a", &|_| {});
    let transcribe = |second: &Heard<perennial_model::dealing::Dealing>| {
        generation::transcribe(&terms, &inputs, &[&good, second], &sets)
    };
    let with_constant = dealt("c", &|coefficients| coefficients.push(coefficients[0]));
    for spoiled in [with_constant, dealt("c", &|coefficients| coefficients.clear())] {
        let refused = transcribe(&spoiled);
        assert!(matches!(refused, Err(Error::Misbehaved { culprit, .. }) if culprit.as_str() == "c"));
    }
    let point = good.body().wallets[0].coefficients[0];
    let other = transcribe(&dealt("c", &|coefficients| coefficients[0] = point)).expect("some polynomial");
    let generation = transcribe(&dealt("c", &|_| {})).expect("sound");
    assert_eq!(
        other.share_sets[0],
        ShareSet { transcript: other.share_sets[0].transcript, ..generation.share_sets[0].clone() }
    );
    assert_eq!(other.share_sets[1].key, generation.share_sets[1].key);
    assert_ne!(other.share_sets[1].verification_shares, generation.share_sets[1].verification_shares);
    for (new, old) in generation.share_sets.iter().zip(&made.share_sets) {
        assert_eq!(new.key, old.key, "a refresh keeps key and chain code");
        assert_eq!(new.parent, Some(encoding::digest(old)));
        assert_eq!(new.opens_to(), Some(old.key.public_key));
    }
}

#[test]
fn every_fact_is_read_back_as_it_was_written() {
    let (mut cast, terms) = create(2);
    let chunk = terms.chunk;
    let (mut facts, _) = run(&mut cast, terms);
    facts.push(Fact::Left(Reason::Silent(cast.signers.clone())));
    facts.push(Fact::Probed(vec![ProbeSignature {
        task: ProbeTask { wallet: 0, counter: 1 },
        signature: RawSignature { bytes: [3; 64], recovery_id: Some(1) },
    }]));
    for fact in facts {
        let fact = super::batch::CeremonyFact::Chunk(chunk, Box::new(fact));
        let recorded = crate::journal::Recorded { ceremony: chunk.plan, at_ms: 5, fact };
        let read = encoding::decode(&encoding::encode(&recorded));
        assert_eq!(read, Ok(recorded));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Facts in any order and any number come to the same state once each has had its turn.
    #[test]
    fn lost_doubled_and_reordered_facts_come_to_the_same_end(order in proptest::collection::vec(any::<u16>(), 0..200)) {
        let (mut cast, terms) = create(1);
        let (facts, states) = run(&mut cast, terms.clone());
        let mut attempt = Attempt::new(0, terms);
        for pick in order {
            let fact = facts[usize::from(pick) % facts.len()].clone();
            let before = attempt.clone();
            attempt = match attempt.apply(1, fact) {
                Ok(next) => next,
                Err(refused) => {
                    prop_assert_eq!(&*refused.attempt, &before);
                    *refused.attempt
                }
            };
        }
        // Whatever was missed comes again.
        for fact in &facts {
            attempt = attempt.apply(2, fact.clone()).unwrap_or_else(|refused| *refused.attempt);
        }
        let end = states.last().expect("an end");
        prop_assert_eq!(attempt.phase(), Phase::Retired);
        prop_assert_eq!(attempt.progress.counts, end.progress.counts);
    }

    /// Replaying any beginning of the facts gives the very state that it had.
    #[test]
    fn replaying_the_facts_rebuilds_the_state(length in 0usize..40) {
        let (mut cast, terms) = create(1);
        let (facts, states) = run(&mut cast, terms.clone());
        let length = length.min(facts.len());
        let mut attempt = Attempt::new(0, terms);
        for (at, fact) in facts[..length].iter().enumerate() {
            attempt = attempt.apply(at as u64 + 1, fact.clone()).expect("in its place");
        }
        prop_assert_eq!(&attempt, &states[length]);
    }
}

#[test]
fn a_plan_is_cut_where_wallets_have_too_few_holders_in_common() {
    let cast = Cast::new(2, 3);
    let plan = cast.create(&[Chain::Bitcoin; 6]);
    let parent = Some(plan.committee.clone());
    let held_by = |names: &str| names.split_terminator(' ').map(name).collect::<Vec<SignerId>>();
    let known = ["a b c", "a b", "b a", "b c", "", "c b a"];
    let ground = |at: usize| {
        Ok(Ground { scheme: Scheme::Taproot, parent: parent.clone(), holders: held_by(known[at]) })
    };
    let places = |limit: u32| {
        let portions = cut(&plan, limit, &ground).expect("every wallet is known");
        portions.iter().map(|portion| (portion.first, portion.count)).collect::<Vec<_>>()
    };
    assert_eq!(places(256), [(0, 3), (3, 3)], "a and b deal to three, b and c to the others");
    assert_eq!(places(2), [(0, 2), (2, 1), (3, 2), (5, 1)]);
}
