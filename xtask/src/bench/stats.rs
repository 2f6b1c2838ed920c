//! What a handful of samples say.

use serde::{Deserialize, Serialize};

/// Samples of one thing, with what is read from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Half of the samples are less.
    pub median: f64,
    /// A quarter of the samples are less.
    pub lower_quartile: f64,
    /// A quarter of the samples are more.
    pub upper_quartile: f64,
    /// All, in the order in which they were taken.
    pub samples: Vec<f64>,
}

impl Summary {
    /// `None` if there is no sample.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let samples: Vec<f64> = samples.into_iter().collect();
        Some(Self {
            median: quantile(&samples, 0.5)?,
            lower_quartile: quantile(&samples, 0.25)?,
            upper_quartile: quantile(&samples, 0.75)?,
            samples,
        })
    }

    /// One ratio per pair of samples that were taken together; a pair with nothing to divide by is left out.
    ///
    /// The median of these is what is reported, and not the ratio of two medians: what disturbs the machine
    /// for a while disturbs both halves of a pair.
    pub fn ratios(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        Self::of(pairs.into_iter().filter(|(_, b)| *b != 0.0).map(|(a, b)| a / b))
    }
}

/// The value that the share `q` of the samples do not exceed, between neighbours in proportion.
pub fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len().checked_sub(1)? as f64);
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[4.0, 1.0, 2.0, 3.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_half() {
        let summary = Summary::of([5.0, 1.0, 2.0, 3.0, 100.0]).unwrap();
        assert_eq!(
            (summary.lower_quartile, summary.median, summary.upper_quartile),
            (2.0, 3.0, 5.0)
        );
        assert_eq!(summary.samples, [5.0, 1.0, 2.0, 3.0, 100.0]);
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn a_high_percentile_is_near_the_end() {
        let samples: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&samples, 0.99), Some(99.0));
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        // The ratio of the medians would be 10 / 20.
        let ratios =
            Summary::ratios([(10.0, 10.0), (5.0, 20.0), (30.0, 30.0), (1.0, 0.0)]).unwrap();
        assert_eq!(ratios.samples, [1.0, 0.25, 1.0]);
        assert_eq!(ratios.median, 1.0);
    }
}
