//! Single flows that a fabric spreads over its uplinks by a hash: some meet on one link.

/// Expected number of flows on the busiest of `links` links, when each of `flows` flows takes one
/// of them at random, at least 1.
///
/// `E[max] = Σₖ (1 − P(X < k)^links)` for k from 1 on, with the flows of a link taken as Poisson of
/// mean `flows / links`. Source: balls in bins, Mitzenmacher & Upfal, *Probability and Computing*, 5.2–5.4.
///
/// # Panics
/// If there are no links.
pub(super) fn busiest(flows: u32, links: u32) -> f64 {
    assert!(links > 0, "flows take one of some links");
    let links = f64::from(links);
    let mean = f64::from(flows) / links;
    // Chance of exactly `k` flows on a link, and of fewer than `k`.
    let (mut exactly, mut fewer) = (libm::exp(-mean), 0.0);
    let mut expected = 0.0;
    for k in 1..=flows {
        fewer += exactly;
        exactly *= mean / f64::from(k);
        let reached = 1.0 - libm::pow(fewer.min(1.0), links);
        expected += reached;
        if reached < 1e-9 {
            break;
        }
    }
    expected.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 8 flows over 32 links, mean 1/4: P(X < 2) = e^(−1/4) · 1.25 = 0.9735, P(X < 3) = 0.99784,
    // P(X < 4) = 0.99987. Of all 32 links: 0.4234, 0.9331, 0.9957; 1 + 0.5766 + 0.0669 + 0.0043 = 1.648.
    #[test]
    fn few_flows_meet_as_often_as_balls_in_bins() {
        assert!((busiest(8, 32) - 1.648).abs() < 2e-3);
    }

    #[test]
    fn one_flow_is_alone_and_one_link_takes_all() {
        assert!((busiest(1, 64) - 1.0).abs() < 1e-12);
        // Poisson with mean 20 on one link: its expected value but for the tail beyond 20 flows.
        assert!(busiest(20, 1) > 18.0 && busiest(20, 1) <= 20.0);
    }

    #[test]
    fn more_flows_never_meet_less() {
        let loads: Vec<f64> = (1..200).map(|flows| busiest(flows, 32)).collect();
        assert!(loads.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
    }
}
