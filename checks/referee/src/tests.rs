//! Good and spoilt samples for every chain, and the form of the lines.

use super::*;

mod bitcoin;
mod ethereum;
mod solana;

/// A question as a line.
fn line(chain: &str, address: &str, signed_transaction: &str, prevouts: &[(String, u64)]) -> String {
    let mut question = serde_json::json!({
        "chain": chain, "address": address, "signed_transaction": signed_transaction,
    });
    if !prevouts.is_empty() {
        let prevouts: Vec<_> = prevouts
            .iter()
            .map(|(script, amount)| serde_json::json!({"script_pubkey": script, "amount": amount}))
            .collect();
        question["prevouts"] = prevouts.into();
    }
    question.to_string()
}

fn accepted(line: &str) -> String {
    let verdict = judge(line.as_bytes());
    assert!(verdict.ok, "{}", verdict.why);
    verdict.why
}

fn refused(line: &str) -> String {
    let verdict = judge(line.as_bytes());
    assert!(!verdict.ok, "{}", verdict.why);
    verdict.why
}

#[test]
fn a_line_that_is_no_question_is_answered_with_false_and_the_next_is_still_read() {
    let good = ethereum::question();
    let lines = ["", "{", "[]", "{\"chain\":\"ethereum\"}", &good, "{\"chain\":\"dogecoin\"}"];
    let mut input = lines.join("\n").into_bytes();
    input.extend(b"\n\xff\xfe\n");
    // The last line has no end.
    input.extend(good.as_bytes());
    let mut output = Vec::new();
    serve(input.as_slice(), &mut output).expect("memory");
    let answers: Vec<bool> = String::from_utf8(output)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an answer")["ok"] == true)
        .collect();
    assert_eq!(answers, [false, false, false, false, true, false, false, true]);
}

#[test]
fn a_line_without_end_is_given_up_and_the_next_is_still_read() {
    let mut input = vec![b'x'; LINE_BYTES_MAX as usize + 100];
    input.push(b'\n');
    input.extend(ethereum::question().as_bytes());
    let mut output = Vec::new();
    serve(input.as_slice(), &mut output).expect("memory");
    let output = String::from_utf8(output).expect("text");
    let answers: Vec<&str> = output.lines().collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], "{\"ok\":false,\"why\":\"a line of more than 4194304 bytes\"}");
    assert!(answers[1].starts_with("{\"ok\":true"));
}

#[test]
fn fields_that_are_unknown_or_said_twice_are_refused() {
    let good = ethereum::question();
    let with = |field: &str| format!("{},{field}}}", &good[..good.len() - 1]);
    assert!(refused(&with("\"ok\":true")).contains("unknown field"));
    assert!(refused(&with("\"chain\":\"ethereum\"")).contains("duplicate field"));
    assert!(refused(&with("\"prevouts\":[{\"script_pubkey\":\"\",\"amount\":1}]")).contains("bitcoin alone"));
}

/// A pipe that says when it was written through.
#[derive(Default)]
struct Pipe {
    pending: usize,
    flushed: usize,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending += bytes.iter().filter(|byte| **byte == b'\n').count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        assert_eq!(self.pending, 1, "one answer at a time");
        self.flushed += std::mem::take(&mut self.pending);
        Ok(())
    }
}

#[test]
fn every_answer_is_written_through_before_the_next_question_is_read() {
    let mut pipe = Pipe::default();
    serve("x\ny\nz\n".as_bytes(), &mut pipe).expect("memory");
    assert_eq!((pipe.flushed, pipe.pending), (3, 0));
}
