use super::{Exposition, table};
use crate::ingest::{ByteBudget, Fate, LedgerSnapshot, StreamName};

/// Writes a stream's account: every fate from the start, at 0 too, so that a rate exists for the first loss.
pub fn collect_ledger(page: &mut Exposition, stream: &StreamName, account: &LedgerSnapshot) {
    let stream = stream.as_str();
    page.put(&table::ACCESS_UNITS_RECEIVED, &[stream], account.received as f64);
    page.put(
        &table::ACCESS_UNITS_RECEIVED_BYTES,
        &[stream],
        account.received_bytes as f64,
    );
    page.put(&table::ACCESS_UNITS_BUFFERED, &[stream], account.buffered as f64);
    for fate in Fate::ALL {
        let kind = match fate {
            Fate::Used => "used",
            Fate::Skipped(_) => "skipped",
            Fate::Dropped(_) => "dropped",
        };
        let labels = [stream, kind, fate.label()];
        page.put(
            &table::ACCESS_UNITS_SETTLED,
            &labels,
            account.settled(fate) as f64,
        );
    }
}

/// Writes how much compressed media is in memory, and how much may be.
pub fn collect_byte_budget(page: &mut Exposition, budget: &ByteBudget) {
    page.put(&table::BYTE_BUDGET_USED, &[], budget.used_bytes() as f64);
    page.put(&table::BYTE_BUDGET_CAPACITY, &[], budget.capacity_bytes() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{DropReason, Ledger};

    #[test]
    fn a_page_shows_an_account_that_closes() {
        let ledger = Ledger::new();
        let held = ledger.receive(100);
        ledger.receive(20).settle(Fate::Used);
        ledger.receive(3).settle(Fate::Dropped(DropReason::NoCredit));
        let mut page = Exposition::default();
        let name = StreamName::new("gate-2").unwrap();
        collect_ledger(&mut page, &name, &ledger.snapshot());
        let text = page.render();
        let sum = |family: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(family));
            lines
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum()
        };
        assert_eq!(sum("comove_access_units_received_total"), 3.0);
        assert_eq!(sum("comove_access_units_settled_total"), 2.0);
        assert_eq!(sum("comove_access_units_buffered"), 1.0);
        assert_eq!(sum("comove_access_units_received_bytes_total"), 123.0);
        assert_eq!(
            text.matches("comove_access_units_settled_total{").count(),
            Fate::ALL.len()
        );
        assert!(text.contains(r#"{stream="gate-2",fate="dropped",reason="no_credit"} 1"#));
        drop(held);
    }
}
