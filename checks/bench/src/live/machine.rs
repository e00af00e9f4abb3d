//! What the kernel says of this machine and of other processes, and what disk and loopback take here.
#![allow(unsafe_code)]

use anyhow::Context as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often something short is measured.
const TIMES: usize = 200;
/// What is written and synced, or sent and answered, in bytes.
const BYTES: usize = 4096;

/// The most memory that a process has had resident so far (`VmHWM`, see proc(5)), in bytes.
pub fn peak_memory(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kibibytes.context("no VmHWM in /proc")? << 10)
}

/// The processor time that a process has taken so far, user and system together (see proc(5)).
pub fn processor_time(process: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(") ").context("no name in /proc")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    // Fields 14 and 15; the first two went with the name. A tick is 10 ms on every Linux (USER_HZ).
    let spent = ticks(11).zip(ticks(12)).context("no times in /proc")?;
    Ok(Duration::from_millis(10 * (spent.0 + spent.1)))
}

/// The bytes that a directory's files take on the disk.
pub fn disk_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            bytes += metadata.blocks() * 512;
        }
    }
    Ok(bytes)
}

/// The load of the machine: how many tasks ran or wanted to, on average over one, five and fifteen minutes.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// How long it takes to make 4 KiB durable that overwrite others, in milliseconds: the median, with nothing else
/// of ours at the disk.
pub fn sync_ms(directory: &Path) -> anyhow::Result<f64> {
    let path = directory.join("sync");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all_at(&[1; 64 * BYTES], 0)?;
    file.sync_all()?;
    let median = median_ms(|at| write_and_sync(&file, at))?;
    std::fs::remove_file(path)?;
    Ok(median)
}

fn write_and_sync(file: &File, at: usize) -> std::io::Result<()> {
    file.write_all_at(&[2; BYTES], (at % 64 * BYTES) as u64)?;
    file.sync_data()
}

/// How long 4 KiB take over the loopback interface to another thread and back, in milliseconds: the median.
pub fn round_trip_ms() -> anyhow::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = std::thread::spawn(move || {
        let mut bytes = [0; BYTES];
        // It ends when the other end is gone.
        while far.read_exact(&mut bytes).and_then(|()| far.write_all(&bytes)).is_ok() {}
    });
    let mut bytes = [3; BYTES];
    let median = median_ms(|_| near.write_all(&bytes).and_then(|()| near.read_exact(&mut bytes)))?;
    drop(near);
    let _ = echo.join();
    Ok(median)
}

fn median_ms(mut work: impl FnMut(usize) -> std::io::Result<()>) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(TIMES);
    for at in 0..TIMES {
        let begun = Instant::now();
        work(at)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}

/// Asks a child of this process to end.
pub fn ask_to_end(process: u32) {
    // SAFETY: kill(2) takes two numbers. The child has not been waited for, so the number is still its own.
    unsafe {
        libc::kill(process.cast_signed(), libc::SIGTERM);
    }
}

/// Has the calling thread run only where nothing else wants to (SCHED_IDLE, see sched(7)).
pub fn lower_this_thread_to_idle() -> anyhow::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads one struct that outlives it; 0 means the calling thread.
    let outcome = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) };
    if outcome != 0 {
        return Err(std::io::Error::last_os_error()).context("cannot lower the priority of a thread");
    }
    Ok(())
}
