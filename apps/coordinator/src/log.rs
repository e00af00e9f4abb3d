//! Where lines of the log go: each event is one line, whatever was said in it.
//!
//! What clients and signers send gets into messages. A line end in it would be the beginning of a line that nobody
//! logged, so control characters are written as escapes.

use std::io::{self, Write};

/// Writes each event that comes in one piece, as the formatting layer sends them, as one line.
#[derive(Debug)]
pub struct OneLineEach<W>(pub W);

impl<W: Write> Write for OneLineEach<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        let mut line = Vec::with_capacity(event.len());
        for byte in text {
            match byte {
                b'\n' => line.extend(b"\\n"),
                0..0x20 | 0x7f => line.extend(format!("\\x{byte:02x}").into_bytes()),
                _ => line.push(*byte),
            }
        }
        line.push(b'\n');
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::prelude::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_writes_a_line_of_the_log_by_what_they_send() {
        let kept = Kept::default();
        let to = kept.clone();
        let lines =
            tracing_subscriber::fmt::layer().with_writer(move || OneLineEach(to.clone())).with_ansi(false);
        let sent =
            "nonsense\n2026-11-21T10:00:00Z  INFO POST /v1/wallets/a/sign client=other status=200\r\x1b[2K";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::info!(detail = sent, "refused: {sent}");
            tracing::info!("and on");
        });
        let text = String::from_utf8(kept.0.lock().expect("nobody panics").clone()).expect("text");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("and on\n") && text.contains("nonsense\\n2026"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
