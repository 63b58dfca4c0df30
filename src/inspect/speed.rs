//! The time that a piece of work takes: on the wall, and of one processor.

use std::time::{Duration, Instant};

/// Adds up the time that work on one thread takes, with pauses in between.
#[derive(Debug, Default)]
pub struct Stopwatch {
    wall: Duration,
    cpu: Duration,
    cpu_unknown: bool,
}

/// Time taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTaken {
    /// On the wall.
    pub wall: Duration,
    /// Of the processor, where the system tells.
    pub cpu: Option<Duration>,
}

impl Stopwatch {
    /// Does the work and adds its time.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), thread_cpu_time());
        let result = work();
        self.wall += wall.elapsed();
        match thread_cpu_time().zip(cpu) {
            Some((after, before)) => self.cpu += after.saturating_sub(before),
            None => self.cpu_unknown = true,
        }
        result
    }

    /// The sum so far.
    pub fn taken(&self) -> TimeTaken {
        TimeTaken {
            wall: self.wall,
            cpu: (!self.cpu_unknown).then_some(self.cpu),
        }
    }
}

/// Processor time of the calling thread, as Linux's scheduler counts it in nanoseconds.
fn thread_cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_time_on_the_wall_and_none_of_the_processor() {
        let mut watch = Stopwatch::default();
        watch.time(|| std::thread::sleep(Duration::from_millis(60)));
        let taken = watch.taken();
        assert!(taken.wall >= Duration::from_millis(60));
        if let Some(cpu) = taken.cpu {
            assert!(cpu < Duration::from_millis(30), "{cpu:?}");
        }
        let outside = watch.taken();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(watch.taken(), outside, "pauses do not count");
    }

    #[test]
    fn computing_takes_processor_time() {
        let mut watch = Stopwatch::default();
        let sum: u64 = watch.time(|| {
            let begin = Instant::now();
            let mut sum = 0;
            while begin.elapsed() < Duration::from_millis(50) {
                sum = std::hint::black_box(sum + 1);
            }
            sum
        });
        assert!(sum > 0);
        if let Some(cpu) = watch.taken().cpu {
            assert!(cpu > Duration::ZERO);
        }
    }
}
