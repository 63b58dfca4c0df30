use serde::{Deserialize, Serialize};

/// A change of the learning rate while training runs. The schedule's factor goes on applying on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateChange {
    /// This learning rate, in the place of `train.learning_rate`.
    To(f64),
    /// The one in force, times this.
    Times(f64),
    /// The configured one again.
    Configured,
}

/// A learning rate set while training ran. It is part of each snapshot and survives a resume, unless the configuration names
/// another rate by then than the one that it took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSet {
    /// In force.
    pub rate: f64,
    /// What was configured when it was set.
    pub configured: f64,
}

impl RateSet {
    /// What is in force after `change`; `None`: the configured rate.
    ///
    /// # Errors
    /// A rate that is not a number above 0, with what would be right.
    pub(super) fn after(
        change: RateChange,
        now: Option<RateSet>,
        configured: f64,
    ) -> Result<Option<Self>, String> {
        let (rate, given, what) = match change {
            RateChange::Configured => return Ok(None),
            RateChange::To(rate) => (rate, rate, "learning rate"),
            RateChange::Times(factor) => {
                let rate = now.map_or(configured, |set| set.rate);
                (rate * factor, factor, "factor on the learning rate")
            }
        };
        if rate > 0.0 && rate.is_finite() {
            Ok(Some(Self { rate, configured }))
        } else {
            Err(format!("the {what} is {given}: a number above 0 is right"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_pile_up_and_the_configured_rate_comes_back() {
        let configured = 0.5;
        let set = RateSet::after(RateChange::Times(0.5), None, configured).unwrap();
        assert_eq!(set.unwrap().rate, 0.25);
        let set = RateSet::after(RateChange::Times(0.5), set, configured).unwrap();
        assert_eq!(set.unwrap().rate, 0.125);
        let set = RateSet::after(RateChange::To(0.3), set, configured).unwrap();
        assert_eq!(set.unwrap().rate, 0.3);
        assert_eq!(RateSet::after(RateChange::Configured, set, configured), Ok(None));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let told = RateSet::after(RateChange::To(bad), None, 0.1).unwrap_err();
            assert!(told.contains("a number above 0 is right"), "{told}");
            assert!(RateSet::after(RateChange::Times(bad), None, 0.1).is_err());
        }
    }
}
