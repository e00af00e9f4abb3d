//! The independent judge of signed transactions, a process that links none of our crates: every signed transaction
//! goes through it, while the load runs.

use crate::failure::Failure;
use crate::process::program;
use crate::transfer::Prevout;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What is asked about one signed transaction.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    /// The chain's name.
    pub chain: String,
    /// The wallet's address, which must be the sender.
    pub address: String,
    /// What the network would get.
    pub signed_transaction: String,
    /// On Bitcoin the outputs that are spent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prevouts: Vec<Prevout>,
}

#[derive(Deserialize)]
struct Verdict {
    ok: bool,
    why: String,
}

/// What the judge found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// Transactions that it took.
    pub accepted: u64,
    /// Those that it did not take: the number of the request, and why.
    pub refused: Vec<(u64, String)>,
}

/// A judge at work.
pub struct Referee {
    questions: Option<Sender<(u64, Question)>>,
    thread: Option<JoinHandle<Result<Findings, Failure>>>,
}

impl Referee {
    /// Starts the judge.
    ///
    /// # Errors
    /// When its program cannot be started.
    pub fn begin() -> Result<Self, Failure> {
        let broken = |what: String| {
            Failure::local(what, "build it beside this program: cargo build --release -p perennial-referee")
        };
        let mut command = Command::new(program("perennial-referee"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| broken(format!("cannot start perennial-referee: {e}")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| broken("perennial-referee has no pipes".into()))?;
        let (questions, asked) = channel();
        let judge = move || judge(child, input, BufReader::new(output), &asked);
        let thread = std::thread::Builder::new().name("referee".into()).spawn(judge);
        let thread = thread.map_err(|e| broken(format!("no thread: {e}")))?;
        Ok(Self { questions: Some(questions), thread: Some(thread) })
    }

    /// A way to ask, for one thread of many.
    pub fn ask(&self) -> Option<Sender<(u64, Question)>> {
        self.questions.clone()
    }

    /// Waits until every question is answered. Whoever asks must have let go before.
    ///
    /// # Errors
    /// When the judge broke down.
    pub fn end(mut self) -> Result<Findings, Failure> {
        self.questions = None;
        let thread = self.thread.take();
        let findings = thread.and_then(|thread| thread.join().ok());
        findings.unwrap_or_else(|| Err(Failure::local("the thread of the referee broke", "report this")))
    }
}

fn judge(
    mut child: Child,
    mut input: ChildStdin,
    mut output: BufReader<ChildStdout>,
    asked: &Receiver<(u64, Question)>,
) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    for (number, question) in asked {
        let verdict = put(&mut input, &mut output, &question);
        let verdict =
            verdict.map_err(|e| Failure::local(format!("the referee broke down: {e}"), "report this"))?;
        if verdict.ok {
            findings.accepted += 1;
        } else {
            findings.refused.push((number, verdict.why));
        }
    }
    drop(input);
    let ended =
        child.wait().map_err(|e| Failure::local(format!("the referee broke down: {e}"), "report this"))?;
    if ended.success() {
        Ok(findings)
    } else {
        Err(Failure::local(format!("the referee ended with {ended}"), "report this"))
    }
}

fn put(
    input: &mut ChildStdin,
    output: &mut BufReader<ChildStdout>,
    question: &Question,
) -> std::io::Result<Verdict> {
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    input.write_all(&line)?;
    let mut answer = String::new();
    if output.read_line(&mut answer)? == 0 {
        return Err(std::io::Error::other("it ended in the middle of its work"));
    }
    Ok(serde_json::from_str(&answer)?)
}
