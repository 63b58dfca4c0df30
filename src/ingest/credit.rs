use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant};
use std::{fmt, sync::Condvar, sync::Mutex};

/// Bytes of compressed media that may be in memory at once.
///
/// Every access unit holds a [`ByteCredit`] from the moment it leaves GStreamer until the last stage drops it, so that no
/// queue has to be bounded on its own. A file source waits for credit; a live source must not, and sheds.
#[derive(Clone)]
pub struct ByteBudget(Arc<Shared>);

struct Shared {
    capacity_bytes: usize,
    free_bytes: Mutex<usize>,
    released: Condvar,
    closed: AtomicBool,
}

/// Why no credit was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreditError {
    /// Nothing is free and the caller would not wait (longer).
    #[error("no byte credit is free")]
    Exhausted,
    /// The budget was closed: the process is stopping.
    #[error("the byte budget is closed")]
    Closed,
}

/// Bytes taken from a [`ByteBudget`]; given back on drop.
pub struct ByteCredit {
    budget: ByteBudget,
    bytes: usize,
}

impl ByteBudget {
    /// A budget of `capacity_bytes`.
    pub fn new(capacity_bytes: usize) -> Self {
        Self(Arc::new(Shared {
            capacity_bytes,
            free_bytes: Mutex::new(capacity_bytes),
            released: Condvar::new(),
            closed: AtomicBool::new(false),
        }))
    }

    /// Takes `bytes` now or not at all. A unit larger than the whole budget passes when nothing else is in memory, so that
    /// it can neither block for ever nor be lost.
    pub fn try_acquire(&self, bytes: usize) -> Result<ByteCredit, CreditError> {
        self.acquire_until(bytes, None)
    }

    /// Waits up to `patience` for `bytes`. Blocks the calling thread: not for async code.
    pub fn acquire(&self, bytes: usize, patience: Duration) -> Result<ByteCredit, CreditError> {
        self.acquire_until(bytes, Some(Instant::now() + patience))
    }

    fn acquire_until(&self, bytes: usize, deadline: Option<Instant>) -> Result<ByteCredit, CreditError> {
        let charged_bytes = bytes.min(self.0.capacity_bytes);
        let mut free_bytes = self
            .0
            .free_bytes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        loop {
            if self.0.closed.load(Ordering::Relaxed) {
                return Err(CreditError::Closed);
            }
            if *free_bytes >= charged_bytes {
                *free_bytes -= charged_bytes;
                return Ok(ByteCredit {
                    budget: self.clone(),
                    bytes: charged_bytes,
                });
            }
            let wait = deadline
                .map(|at| at.saturating_duration_since(Instant::now()))
                .unwrap_or_default();
            if wait.is_zero() {
                return Err(CreditError::Exhausted);
            }
            free_bytes = match self.0.released.wait_timeout(free_bytes, wait) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Ends every wait with [`CreditError::Closed`], now and later.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        let _guard = self
            .0
            .free_bytes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        self.0.released.notify_all();
    }

    /// Bytes held by access units now.
    pub fn used_bytes(&self) -> usize {
        self.0.capacity_bytes
            - *self
                .0
                .free_bytes
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Bytes that may be held at most.
    pub fn capacity_bytes(&self) -> usize {
        self.0.capacity_bytes
    }
}

impl Drop for ByteCredit {
    fn drop(&mut self) {
        let shared = &self.budget.0;
        *shared
            .free_bytes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) += self.bytes;
        shared.released.notify_all();
    }
}

impl fmt::Debug for ByteCredit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteCredit({} bytes)", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_credit_back_when_the_holder_lets_go() {
        let budget = ByteBudget::new(10);
        let first = budget.try_acquire(7).unwrap();
        assert_eq!(budget.try_acquire(4).unwrap_err(), CreditError::Exhausted);
        drop(first);
        assert_eq!(budget.used_bytes(), 0);
        budget.try_acquire(10).unwrap();
    }

    #[test]
    fn lets_a_unit_larger_than_the_budget_through_alone() {
        let budget = ByteBudget::new(10);
        let small = budget.try_acquire(1).unwrap();
        assert!(budget.try_acquire(50).is_err());
        drop(small);
        assert_eq!(budget.try_acquire(50).unwrap().bytes, 10);
    }

    #[test]
    fn closing_wakes_a_waiting_source() {
        let budget = ByteBudget::new(1);
        let _held = budget.try_acquire(1).unwrap();
        let waiter = std::thread::spawn({
            let budget = budget.clone();
            move || budget.acquire(1, Duration::from_secs(60)).unwrap_err()
        });
        std::thread::sleep(Duration::from_millis(20));
        budget.close();
        assert_eq!(waiter.join().unwrap(), CreditError::Closed);
    }
}
