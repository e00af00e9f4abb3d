//! Whoever gave the command: where their cluster is, how they want to be answered.

use crate::arguments::Global;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::failure::Failure;
use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: JSON on standard output, one value a line.
    Json,
}

/// Whoever gave the command.
pub struct Operator {
    /// Their cluster.
    pub cluster: Cluster,
    /// Their coordinator.
    pub client: Client,
    /// How they want to be answered.
    pub form: Form,
}

impl Operator {
    /// What the options say, over what the directory's settings say.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let cluster = Cluster::open(global.dir.as_deref().unwrap_or(Path::new(".")))?;
        let token = cluster.token(global.token_file.as_deref())?;
        let client = Client::new(global.api.unwrap_or_else(|| cluster.api()), token)?;
        Ok(Self { cluster, client, form: Form::of(global) })
    }

    /// Answers with the text or with the value, as wanted.
    pub fn answer(&self, text: &str, value: &Value) {
        match self.form {
            Form::Text => print(text),
            Form::Json => print(&format!("{value}\n")),
        }
    }

    /// Says something to people that is no part of the result.
    pub fn remark(&self, text: &str) {
        if self.form == Form::Text {
            print(text);
        }
    }
}

impl Form {
    /// The form that the options ask for.
    pub fn of(global: &Global) -> Self {
        if global.json { Self::Json } else { Self::Text }
    }
}

/// Writes to standard output at once. Nobody may be left to read it; that is no failure of the command.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
