//! Writes the samples of every target into the committed corpus, beside what is there. Feeds nothing.

use perennial_fuzz::{TARGETS, corpus};

fn main() -> std::io::Result<()> {
    for target in TARGETS {
        let folder = corpus(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, sample) in (target.samples)().into_iter().enumerate() {
            let mut cut = sample.clone();
            cut.truncate(sample.len() / 2);
            std::fs::write(folder.join(format!("sample-{number:02}")), sample)?;
            std::fs::write(folder.join(format!("cut-{number:02}")), cut)?;
        }
    }
    Ok(())
}
