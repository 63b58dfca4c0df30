use std::fs;

use super::{Exposition, table};

/// The kernel's clock ticks a second as /proc shows them: fixed at 100 on every architecture that Linux has had for years
/// (USER_HZ), whatever the scheduler's own rate.
const USER_HZ: f64 = 100.0;

/// Writes what the operating system says about this process. What it does not say (no /proc) is left out, never 0.
pub(super) fn collect(page: &mut Exposition) {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kib) = status_field(&status, "VmRSS:") {
            page.put(&table::PROCESS_RESIDENT, &[], kib * 1024.0);
        }
        if let Some(threads) = status_field(&status, "Threads:") {
            page.put(&table::PROCESS_THREADS, &[], threads);
        }
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(cpu_seconds)
    {
        page.put(&table::PROCESS_CPU, &[], seconds);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The directory handle that counts is itself one of them.
        page.put(&table::PROCESS_FDS, &[], (open.count().saturating_sub(1)) as f64);
    }
}

fn status_field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// utime + stime of proc(5). The second field is the program's name and may hold blanks and parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user_ticks: f64 = fields.next()?.parse().ok()?;
    let system_ticks: f64 = fields.next()?.parse().ok()?;
    Some((user_ticks + system_ticks) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_program_name_with_blanks() {
        let stat = "12 (a) b) S 1 1 1 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("12 (cut"), None);
    }

    #[test]
    fn a_status_field_is_found_by_name() {
        let status = "Name:\tcomove\nVmRSS:\t  2048 kB\nThreads:\t7\n";
        assert_eq!(status_field(status, "VmRSS:"), Some(2048.0));
        assert_eq!(status_field(status, "Threads:"), Some(7.0));
        assert_eq!(status_field(status, "VmSwap:"), None);
    }
}
