//! The strict reader of messages.

use super::{ACCOUNTS_MAX, CHAIN, SIGNATURE_BYTES, TRANSACTION_BYTES_MAX, base58};
use crate::Error;
use std::collections::BTreeSet;

/// An account's address.
pub(crate) type Key = [u8; 32];

/// The first bit of a message that is not of the legacy form; the rest of the byte is its version.
const VERSIONED: u8 = 0x80;

/// A message that was read in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    required_signatures: usize,
    keys: Vec<Key>,
    instructions: Vec<Instruction>,
    lookups: Vec<Lookup>,
}

/// A call of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Instruction {
    /// The place of the program among the keys.
    program: u8,
    /// The places of the accounts it is given.
    pub(crate) accounts: Vec<u8>,
    /// What it is told.
    pub(crate) data: Vec<u8>,
}

/// Accounts that are named by their place in a table on the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Lookup {
    table: Key,
    writable: Vec<u8>,
    readonly: Vec<u8>,
}

impl Message {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(Error::TooLarge { chain: CHAIN, bytes: bytes.len(), most: TRANSACTION_BYTES_MAX });
        }
        let mut reader = Reader { rest: bytes };
        let versioned = match bytes.first() {
            Some(&VERSIONED) => reader.byte("version").map(|_| true)?,
            Some(first) if first & VERSIONED != 0 => {
                let what = format!("version {}; use the legacy form or version 0", first & !VERSIONED);
                return Err(Error::unsupported(CHAIN, what));
            }
            _ => false,
        };
        let header = Header {
            required: reader.byte("header")?.into(),
            readonly_signed: reader.byte("header")?.into(),
            readonly_unsigned: reader.byte("header")?.into(),
        };
        let keys = reader.many("account keys", |reader| reader.key("account keys"))?;
        reader.key("recent blockhash")?;
        let instructions = reader.many("instructions", Reader::instruction)?;
        let lookups = if versioned { reader.many("lookups", Reader::lookup)? } else { Vec::new() };
        if !reader.rest.is_empty() {
            return Err(Error::malformed(CHAIN, format!("{} bytes after its end", reader.rest.len())));
        }
        let message =
            Self { bytes: bytes.to_vec(), required_signatures: header.required, keys, instructions, lookups };
        header.fits(&message)?;
        message.names_accounts_once()?;
        message.instructions_name_accounts()?;
        Ok(message)
    }

    /// The bytes that are signed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Those who must sign; the first pays the fee. Never empty.
    pub(crate) fn signers(&self) -> &[Key] {
        &self.keys[..self.required_signatures]
    }

    /// What is called, in order.
    pub(crate) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The program that an instruction calls.
    pub(crate) fn program(&self, instruction: &Instruction) -> &Key {
        &self.keys[usize::from(instruction.program)]
    }

    /// An account as people write it.
    pub(super) fn written(&self, place: u8) -> String {
        let place = usize::from(place);
        match self.keys.get(place) {
            Some(key) => base58(key),
            None => self.looked_up().nth(place - self.keys.len()).map_or_else(
                || format!("account {place}"),
                |(table, entry)| format!("entry {entry} of table {}", base58(table)),
            ),
        }
    }

    /// All accounts from tables: first those that may be written, table by table, then the others.
    fn looked_up(&self) -> impl Iterator<Item = (&Key, u8)> {
        let writable =
            self.lookups.iter().flat_map(|lookup| lookup.writable.iter().map(|e| (&lookup.table, *e)));
        let readonly =
            self.lookups.iter().flat_map(|lookup| lookup.readonly.iter().map(|e| (&lookup.table, *e)));
        writable.chain(readonly)
    }

    fn names_accounts_once(&self) -> Result<(), Error> {
        let accounts = self.keys.len() + self.looked_up().count();
        if accounts > ACCOUNTS_MAX {
            let what = format!("{accounts} accounts; at most {ACCOUNTS_MAX} can be named");
            return Err(Error::unsupported(CHAIN, what));
        }
        let different: BTreeSet<_> = self.keys.iter().collect();
        if different.len() != self.keys.len() {
            return Err(Error::malformed(CHAIN, "it names an account twice"));
        }
        if self.lookups.iter().any(|lookup| lookup.writable.is_empty() && lookup.readonly.is_empty()) {
            return Err(Error::malformed(CHAIN, "a lookup that looks nothing up"));
        }
        Ok(())
    }

    fn instructions_name_accounts(&self) -> Result<(), Error> {
        let accounts = self.keys.len() + self.looked_up().count();
        for instruction in &self.instructions {
            let program = usize::from(instruction.program);
            if program == 0 || program >= self.keys.len() {
                let what = "an instruction whose program is the fee payer or is not among the keys";
                return Err(Error::malformed(CHAIN, what));
            }
            if instruction.accounts.iter().any(|&account| usize::from(account) >= accounts) {
                return Err(Error::malformed(CHAIN, "an instruction with an account that is not named"));
            }
        }
        Ok(())
    }
}

/// How many of the keys sign, and how many may not be written.
struct Header {
    required: usize,
    readonly_signed: usize,
    readonly_unsigned: usize,
}

impl Header {
    fn fits(&self, message: &Message) -> Result<(), Error> {
        if self.readonly_signed >= self.required {
            return Err(Error::malformed(CHAIN, "no signer whose account may be written pays the fee"));
        }
        if self.required + self.readonly_unsigned > message.keys.len() {
            return Err(Error::malformed(CHAIN, "its header counts more keys than it has"));
        }
        // The number of signatures is below 128 here, so their count takes one byte.
        let whole = 1 + self.required * SIGNATURE_BYTES + message.bytes.len();
        if whole > TRANSACTION_BYTES_MAX {
            return Err(Error::TooLarge { chain: CHAIN, bytes: whole, most: TRANSACTION_BYTES_MAX });
        }
        Ok(())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, name: &str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| Error::malformed(CHAIN, format!("it is cut short in its {name}")))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self, name: &str) -> Result<u8, Error> {
        Ok(self.take(1, name)?[0])
    }

    fn key(&mut self, name: &str) -> Result<Key, Error> {
        let taken = self.take(size_of::<Key>(), name)?;
        Ok(taken.try_into().expect("as long as was asked for"))
    }

    /// A count: seven bits a byte, lowest first, in as few bytes as will do, below 2^16.
    fn count(&mut self, name: &str) -> Result<usize, Error> {
        let mut value = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte(name)?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                if shortest && value <= usize::from(u16::MAX) {
                    return Ok(value);
                }
                break;
            }
        }
        Err(Error::malformed(CHAIN, format!("the count of its {name} is not in its one short form")))
    }

    fn many<T>(&mut self, name: &str, read: impl Fn(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = self.count(name)?;
        (0..count).map(|_| read(self)).collect()
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let count = self.count(name)?;
        Ok(self.take(count, name)?.to_vec())
    }

    fn instruction(&mut self) -> Result<Instruction, Error> {
        Ok(Instruction {
            program: self.byte("instructions")?,
            accounts: self.bytes("instructions")?,
            data: self.bytes("instructions")?,
        })
    }

    fn lookup(&mut self) -> Result<Lookup, Error> {
        Ok(Lookup {
            table: self.key("lookups")?,
            writable: self.bytes("lookups")?,
            readonly: self.bytes("lookups")?,
        })
    }
}
