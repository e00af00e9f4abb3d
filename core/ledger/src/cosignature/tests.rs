//! Cosignatures of other implementations verify, ours are what others make, and any change is noticed.

use super::*;
use crate::NoteKey;
use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer, SigningKey};

/// A checkpoint of a public log, with lines of five keys, two of them of the log's name.
const PUBLIC: &str = "arche2025h1.staging.ct.transparency.dev\n1432088532\n\
    U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n\
    — arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
    — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
    — transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
    — witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
    — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
    — witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
const PUBLIC_LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
/// Its witnesses, as their operators publish them.
const PUBLIC_WITNESSES: [&str; 4] = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
];

/// Our own witness, and its word on that checkpoint at second 1,700,000,000.
const KEY_GOLDEN: &str = "example.com/log/a+a3751c99+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
const LINE_GOLDEN: &str = "— example.com/log/a o3UcmQAAAABlU/EA9J5MIwKyueQZAhu7llngDHfjjMwDF9fHS5iTNwwWoHUzwY7+au+cMdNh6z284ppLDb/74hbDcSgMXUERGOMOBA==\n";

fn public() -> Result<Checkpoint, Error> {
    Checkpoint::open(PUBLIC.as_bytes(), &NoteKey::parse(PUBLIC_LOG)?)
}

fn ours(seed: u8) -> Result<(WitnessKey, SigningKey), Error> {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let key =
        WitnessKey::of_member(&KeyName::new("example.com/log")?, "a", &secret.verifying_key().to_bytes())?;
    Ok((key, secret))
}

#[test]
fn cosignatures_of_public_witnesses_verify() -> Result<(), Error> {
    let checkpoint = public()?;
    assert_eq!(checkpoint.head().size, 1_432_088_532);
    for line in PUBLIC_WITNESSES {
        let key = WitnessKey::parse(line)?;
        assert_eq!(key.to_string(), line);
        let cosignature = checkpoint.cosigned_by(&key)?;
        assert_eq!(cosignature.time_s(), 1_779_573_024, "{line}");
        let written = cosignature.to_line();
        assert!(PUBLIC.contains(&written), "{written}");
        assert_eq!(Cosignature::parse(&written)?, cosignature);
    }
    Ok(())
}

#[test]
fn a_cosignature_is_put_in_the_place_of_its_elder_and_leaves_the_others() -> Result<(), Error> {
    let (key, secret) = ours(1)?;
    let mut checkpoint = public()?;
    for time_s in [5, 7] {
        let made = Cosignature::make(&checkpoint, &key, time_s, |message| secret.sign(message).to_bytes())?;
        checkpoint = checkpoint.with(&made)?;
        assert_eq!(checkpoint.cosigned_by(&key)?, made);
    }
    let bytes = checkpoint.to_bytes();
    assert!(bytes.starts_with(PUBLIC.as_bytes()));
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 11);
    let opened = Checkpoint::open(&bytes, &NoteKey::parse(PUBLIC_LOG)?)?;
    assert_eq!(opened.cosigned_by(&key)?.time_s(), 7);
    Ok(())
}

/// The bytes were made by an independent implementation.
#[test]
fn the_bytes_of_a_cosignature_never_change() -> Result<(), Error> {
    let (key, secret) = ours(1)?;
    assert_eq!(key.to_string(), KEY_GOLDEN);
    let made = Cosignature::make(&public()?, &key, 1_700_000_000, |message| secret.sign(message).to_bytes())?;
    assert_eq!(made.to_line(), LINE_GOLDEN);
    Ok(())
}

#[test]
fn a_cosignature_with_any_flipped_bit_is_refused() -> Result<(), Error> {
    let (key, secret) = ours(1)?;
    let checkpoint = public()?;
    let made = Cosignature::make(&checkpoint, &key, 9, |message| secret.sign(message).to_bytes())?;
    let line = made.to_line().into_bytes();
    for bit in 0..line.len() * 8 {
        let mut flipped = line.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let read = std::str::from_utf8(&flipped).ok().and_then(|text| Cosignature::parse(text).ok());
        assert!(read.is_none_or(|read| read.verify(&checkpoint, &key).is_err()), "bit {bit}");
    }
    for wrong in [made.to_line().replace('\n', ""), format!("{}x", made.to_line()), made.to_line().repeat(2)]
    {
        assert!(matches!(Cosignature::parse(&wrong), Err(Error::Malformed { .. })), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn nobody_cosigns_for_another_and_a_logs_signature_is_no_cosignature() -> Result<(), Error> {
    let (key, secret) = ours(1)?;
    let (stranger, _) = ours(2)?;
    let checkpoint = public()?;
    let made = Cosignature::make(&checkpoint, &key, 9, |message| secret.sign(message).to_bytes())?;
    assert!(matches!(made.verify(&checkpoint, &stranger), Err(Error::NotSigned { found: 0, .. })));
    let refused = Cosignature::make(&checkpoint, &stranger, 9, |message| secret.sign(message).to_bytes());
    assert!(matches!(refused, Err(Error::SigningFailed { .. })));
    // The same key over the text alone, as a log signs it.
    let as_log = secret.sign(checkpoint.text().as_bytes()).to_bytes();
    let id_time_signature = [&key.id().to_be_bytes()[..], &9_u64.to_be_bytes(), &as_log].concat();
    let line = format!("— {} {}\n", key.name(), Base64::encode_string(&id_time_signature));
    let refused = Cosignature::parse(&line)?.verify(&checkpoint, &key);
    assert!(matches!(refused, Err(Error::BadSignature { .. })));
    assert!(matches!(checkpoint.cosigned_by(&key), Err(Error::NotSigned { found: 0, .. })));
    assert!(WitnessKey::parse(PUBLIC_LOG).is_err(), "a log's key is taken for a witness's");
    Ok(())
}

#[test]
fn a_line_of_another_length_is_named_after_its_witness() -> Result<(), Error> {
    let (key, _) = ours(1)?;
    let short = [&key.id().to_be_bytes()[..], &[0; SIGNATURE_BYTES - 1]].concat();
    let note = format!("{PUBLIC}— {} {}\n", key.name(), Base64::encode_string(&short));
    let refused = Checkpoint::open(note.as_bytes(), &NoteKey::parse(PUBLIC_LOG)?)?.cosigned_by(&key);
    assert!(matches!(refused, Err(Error::BadSignature { key }) if key.starts_with("example.com/log/a+")));
    Ok(())
}
